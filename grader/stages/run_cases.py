"""Run one case of the definition in the sandbox, and say in the student's terms how it went.

The working directory is a disposable copy of the submission; the images lie read-only in `/test`
under neutral names; nothing of the truth is inside. Where the student's program takes its
arguments in another accepted form, the definition's variants are tried, read off the source first
and off a usage error second; an accepted variant is forgiven and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.findings import found, listed
from grader.model import CaseRun, CaseSpec, CaseStatus, CheckedLayout, Finding, Role
from grader.sandbox import Backend, Command, Outcome
from grader.source.command_line import detect_command_line, order_variants
from grader.source.diagnosis import diagnose_failure, is_usage_failure
from grader.stages.check_layout import matches

INSIDE_IMAGES = "/test"
INSIDE_TRAIN = "/train"
INSIDE_CHECKPOINT_DIR = "/model_ckpt"
INSIDE_WORK = "/work"
# Folders of their own into which programs write, beside the places that are asked for.
_OUTPUT_FOLDERS = ("output", "outputs", "result", "results")


@dataclass(frozen=True, slots=True)
class Staged:
    """What is shown to the student's code: host folders and files, all read-only inside.

    `checkpoint` is the weights file of an earlier training case; without it the checkpoint role's
    own file is used.
    """

    images: Path | None = None
    train_images: Path | None = None
    checkpoint: Path | None = None


def run_case(
    layout: CheckedLayout,
    case: CaseSpec,
    staged: Staged,
    backend: Backend,
    outputs: Path,
    environment: Mapping[str, str],
) -> tuple[CaseRun | None, tuple[Finding, ...]]:
    """Run `case`; copies of what it wrote lie in `outputs` afterwards.

    Returns None and the reason when a file that the command needs is missing. Raises SandboxError
    when the sandbox, not the student's program, fails.
    """
    mounts = _mounts(staged)
    words = _words(layout, staged)
    script_role = case.argv[1][1:-1]
    missing = script_role not in layout.roles
    if missing:
        return None, (
            found(
                "run.not-run",
                f"{case.title}: not run, because no file plays {script_role!r}",
                path=f"{script_role}.py",
            ),
        )
    script = layout.roles[script_role]
    detected = detect_command_line(layout.top / script)
    ordered = order_variants(detected, (case.argv, *case.variants))
    if any(field not in words for field in _fields(ordered[0][0])):
        # The form that suits the script best cannot be filled in: another would be a guess.
        return None, (
            found(
                "run.no-checkpoint",
                f"{case.title}: not run, because the zip holds no checkpoint{_unaccepted(layout)} "
                "and none was trained",
                path=script,
            ),
        )
    candidates = [
        (template, note)
        for template, note in ordered
        if all(field in words for field in _fields(template))
    ]
    findings: list[Finding] = []
    for number, (template, note) in enumerate(candidates):
        argv = tuple(word.format(**words) for word in template)
        outcome = backend.run(
            Command(
                argv=argv,
                workdir=layout.top,
                mounts=mounts,
                limits=case.limits,
                collect=_wanted([output.path.format(**words) for output in case.outputs]),
                outputs=_fresh(outputs, number),
                environment=environment,
                writable_dirs=(INSIDE_CHECKPOINT_DIR,)
                if "checkpoint_dir" in set(_fields(template))
                else (),
            )
        )
        last = number == len(candidates) - 1
        if not last and is_usage_failure(outcome.exit_code, outcome.stderr, outcome.stdout):
            continue
        run = _case_run(case, argv, number, outcome, outputs / str(number))
        if template != case.argv:
            findings.append(
                found(
                    "run.other-arguments",
                    f"{script} takes its arguments as `{' '.join(template[1:])}`; "
                    f"the assignment asks for `{' '.join(case.argv[1:])}` ({note})",
                    path=script,
                )
            )
        findings += _findings(layout, case, run, script, outcome)
        return run, tuple(findings)
    raise AssertionError("the last candidate always returns")


def _wanted(paths: Sequence[str]) -> tuple[str, ...]:
    """Where outputs are looked for: the places of the definition, and folders of outputs.

    The readers say which of them they took; nothing that the zip brought along can name the
    hidden images, so that no old result is taken for a new one.
    """
    elsewhere = [
        f"{folder}/{path}" for folder in _OUTPUT_FOLDERS for path in paths if path[0] != "/"
    ]
    return (*paths, *elsewhere)


def _fields(template: tuple[str, ...]) -> list[str]:
    return [word[1:-1] for word in template if word.startswith("{")]


def _fresh(outputs: Path, number: int) -> Path:
    """A folder per attempt, so that a failed variant leaves nothing to the next."""
    folder = outputs / str(number)
    folder.mkdir(parents=True)
    return folder


def _mounts(staged: Staged) -> dict[str, Path]:
    mounts: dict[str, Path] = {}
    if staged.images is not None:
        mounts[INSIDE_IMAGES] = staged.images
    if staged.train_images is not None:
        mounts[INSIDE_TRAIN] = staged.train_images
    if staged.checkpoint is not None:
        mounts[f"/checkpoint/{staged.checkpoint.name}"] = staged.checkpoint
    return mounts


def _words(layout: CheckedLayout, staged: Staged) -> dict[str, str]:
    """What the templates' fields stand for inside the sandbox."""
    words = dict(layout.roles)
    if staged.checkpoint is not None:
        words["checkpoint"] = f"/checkpoint/{staged.checkpoint.name}"
    elif "checkpoint" in words:
        words["checkpoint"] = f"{INSIDE_WORK}/{words['checkpoint']}"
    if staged.images is not None:
        words["images"] = INSIDE_IMAGES
    if staged.train_images is not None:
        words["train_images"] = INSIDE_TRAIN
    words["checkpoint_dir"] = INSIDE_CHECKPOINT_DIR
    return words


def _case_run(
    case: CaseSpec, argv: tuple[str, ...], variant: int, outcome: Outcome, outputs: Path
) -> CaseRun:
    return CaseRun(
        case=case.id,
        argv=argv,
        variant=variant,
        status=outcome.status,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        limit=outcome.limit,
        wall_seconds=outcome.wall_seconds,
        cpu_seconds=outcome.cpu_seconds,
        peak_memory_bytes=outcome.peak_memory_bytes,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        stdout_truncated=outcome.stdout_truncated,
        stderr_truncated=outcome.stderr_truncated,
        outputs=outputs,
        backend=outcome.backend,
    )


def _findings(
    layout: CheckedLayout, case: CaseSpec, run: CaseRun, script: str, outcome: Outcome
) -> list[Finding]:
    findings = [
        found("run.refused-output", f"{path} was not taken: {reason}", path=path)
        for path, reason in outcome.refused
    ]
    if run.status.is_limit:
        findings.append(found(f"run.{run.status.value}", f"{script}: {run.limit}", path=script))
    elif run.status is not CaseStatus.FINISHED:
        findings.append(diagnose_failure(layout, case, run, script))
    elif not outcome.collected:
        wanted = ", ".join(output.path for output in case.outputs)
        findings.append(
            found(
                "run.no-output",
                f"{script} ended without an error, but wrote none of: {wanted}",
                path=script,
            )
        )
    return findings


def _unaccepted(layout: CheckedLayout) -> str:
    """What a person has to look at before a zip counts as one without weights."""
    others = [
        path
        for finding in layout.findings
        if finding.code == "layout.no-checkpoint"
        for path in finding.evidence.get("unaccepted", ())
    ]
    names = listed(dict.fromkeys(others))
    return f" under an accepted name (there is {names})" if others else ""


def trained_checkpoint(run: CaseRun, role: Role) -> Path | None:
    """The weights that a training case left, by the checkpoint role's names, best first."""
    folder = run.outputs / INSIDE_CHECKPOINT_DIR.lstrip("/")
    if not folder.is_dir():
        return None
    found_there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    ranked = sorted((rank, path) for path in found_there if (rank := matches(role, path)))
    return folder / ranked[0][1] if ranked else None
