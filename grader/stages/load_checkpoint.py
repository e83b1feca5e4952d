"""Have the checkpoint opened in the sandbox, and take over what comes out: numbers, no code.

`grader.networks.unpickle` is the program that runs inside. Whatever it leaves is validated again
here, as if the checkpoint had written it itself; this module never unpickles, and needs no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import InternalFault
from grader.findings import CATALOGUE, found, listed, quoted
from grader.model import (
    CaseStatus,
    CheckedLayout,
    CheckpointSpec,
    Finding,
    LoadedCheckpoint,
    Severity,
)
from grader.networks import unpickle
from grader.networks.check_architecture import check_architecture
from grader.networks.check_weights import check_weights
from grader.networks.read_shape import ShapeReading, read_shape
from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_file
from grader.readers.safetensors_file import (
    SafetensorsFile,
    looks_like_safetensors,
    read_safetensors,
)
from grader.sandbox.policy import Backend, Command, Outcome

# What grader/networks/unpickle/loader_inside.py writes, and how it ends.
_WEIGHTS = "weights.safetensors"
_READING = "reading.json"
_EXIT_MEMORY = 3
_EXIT_NO_TORCH = 70
_INSIDE_LOADER = "/loader/unpickle"
_INSIDE_CHECKPOINT = "/weights/checkpoint"

_MAX_READING_BYTES = 16 << 20
_HEADER_BYTES = 8 << 20
_MAX_PROBLEMS = 100
_FLOAT32 = "F32"


@dataclass(frozen=True, slots=True)
class _Opened:
    """What came out of the sandbox, validated."""

    tensors: Path
    wrapper: str
    module_classes: Mapping[str, str]
    metadata: Mapping[str, Any]
    findings: tuple[Finding, ...]


def load_checkpoint(
    layout: CheckedLayout,
    spec: CheckpointSpec,
    backend: Backend,
    scratch: Path,
    trained: Path | None = None,
    *,
    num_classes: int | None = None,
) -> tuple[LoadedCheckpoint | None, tuple[Finding, ...]]:
    """Open the checkpoint that plays `spec.role`, or `trained` where training has just made one.

    `scratch`: a host folder for this stage alone, made when it is missing; the tensors stay there.
    `num_classes` stands for the constraint of that name where the definition leaves it to the
    classes. Returns None with the reasons when nothing can be evaluated, and None without a
    finding when there is no checkpoint at all (`check_layout` has said so). Raises SandboxError or
    InternalFault when the grader itself fails.
    """
    if trained is None and spec.role not in layout.roles:
        return None, ()
    name = trained.name if trained is not None else layout.roles[spec.role]
    path = trained if trained is not None else layout.top / layout.roles[spec.role]
    max_bytes = spec.limits.file_bytes
    digest = _sha256(path)
    scratch.mkdir(parents=True, exist_ok=True)
    opened, findings = _open(path, name, spec, backend, scratch)
    if opened is None:
        return None, findings
    findings += opened.findings
    try:
        weights = read_safetensors(opened.tensors, max_bytes + _HEADER_BYTES)
    except RefusedFileError as error:
        reason = quoted(str(error), 300)
        return None, (
            *findings,
            found("checkpoint.damaged", f"its tensors cannot be read: {reason}", path=name),
        )
    reading, noted = _judge(weights, spec, opened.module_classes, num_classes)
    findings += tuple(_placed(finding, name) for finding in noted)
    loaded = LoadedCheckpoint(
        path=name,
        sha256=digest,
        wrapper=opened.wrapper,
        tensors=opened.tensors,
        shape=reading.shape,
        findings=findings,
        module_classes=opened.module_classes,
        metadata=opened.metadata,
        norms=() if reading.layers is None else reading.layers.norms,
    )
    return loaded, findings


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _placed(finding: Finding, path: str) -> Finding:
    return found(
        finding.code,
        finding.message,
        path=path,
        hint=finding.hint,
        evidence=finding.evidence,
    )


# --------------------------------------------------------------------------- opening


def _open(
    path: Path, name: str, spec: CheckpointSpec, backend: Backend, scratch: Path
) -> tuple[_Opened | None, tuple[Finding, ...]]:
    try:
        is_safetensors = looks_like_safetensors(path)
    except RefusedFileError as error:
        return None, (found("checkpoint.damaged", str(error), path=name),)
    if is_safetensors:
        # Nothing in this format can be run, and the strict reader is the same one.
        return _Opened(path, "safetensors", {}, {}, ()), ()
    workdir, outputs = scratch / "empty", scratch / "opened"
    workdir.mkdir()
    workdir.chmod(0o755)  # whatever the umask: it is shown to another user where this one is root
    outputs.mkdir()
    outcome = backend.run(
        Command(
            argv=(
                "python",
                f"{_INSIDE_LOADER}/loader_inside.py",
                _INSIDE_CHECKPOINT,
                ".",
                str(spec.limits.file_bytes),
            ),
            workdir=workdir,
            mounts={_INSIDE_LOADER: Path(unpickle.__file__).parent, _INSIDE_CHECKPOINT: path},
            limits=spec.limits,
            collect=(_WEIGHTS, _READING),
            outputs=outputs,
        )
    )
    stopped = _how_it_stopped(outcome, name)
    if stopped is not None:
        return None, (stopped,)
    try:
        reading = _checked_reading(outputs / _READING)
    except (RefusedFileError, ValueError) as error:
        reason = quoted(str(error), 300)
        message = f"the program that opens it left no usable reading: {reason}"
        return None, (found("checkpoint.loader-stopped", message, path=name),)
    return _take_over(reading, outputs, name)


def _how_it_stopped(outcome: Outcome, name: str) -> Finding | None:
    """None when the loader ended as it should. Raises InternalFault where torch is missing."""
    if outcome.exit_code == _EXIT_NO_TORCH:
        raise InternalFault(
            "torch cannot be imported inside the sandbox, so that no checkpoint can be opened",
            hint="run `grader doctor`; torch has to be installed where the grader is",
        )
    if outcome.status.is_limit:
        return found("checkpoint.limit", outcome.limit, path=name)
    if outcome.exit_code == _EXIT_MEMORY:
        return found("checkpoint.limit", "it takes more memory than it may", path=name)
    if outcome.status is CaseStatus.FINISHED:
        return None
    last = outcome.stderr.strip().rpartition("\n")[2]
    how = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    message = f"the program that opens it ended with {how}: {quoted(last, 200)}"
    return found("checkpoint.loader-stopped", message, path=name)


def _take_over(
    reading: Mapping[str, Any], outputs: Path, name: str
) -> tuple[_Opened | None, tuple[Finding, ...]]:
    findings = tuple(_reported(entry, name) for entry in [*reading["notes"], *reading["problems"]])
    if any(finding.severity is Severity.ERROR for finding in findings):
        return None, findings
    findings += tuple(_forgiven(reading, name))
    return (
        _Opened(
            tensors=outputs / _WEIGHTS,
            wrapper=reading["wrapper"] or ("module" if reading["whole_module"] else "state_dict"),
            module_classes=reading["classes"],
            metadata=reading["metadata"],
            findings=(),
        ),
        findings,
    )


def _reported(entry: tuple[str, str, str | None], name: str) -> Finding:
    code, message, tensor = entry
    if tensor is not None:
        message = f"{quoted(tensor, 120)}: {message}"
    evidence = {} if tensor is None else {"tensor": tensor}
    return found(code, quoted(message, 400), path=name, evidence=evidence)


def _forgiven(reading: Mapping[str, Any], name: str) -> list[Finding]:
    """What was done so that the checkpoint could be graded all the same."""
    findings = []
    wanted = [entry for entry in reading["wanted"] if not entry.startswith("torch.")]
    if reading["whole_module"]:
        top = quoted(reading["classes"].get("", "a module"))
        message = f"it is a pickled {top} and not a state_dict"
        findings.append(found("checkpoint.whole-module", message, path=name))
    elif reading["method"] == "restricted" and wanted:
        findings.append(found("checkpoint.extra-classes", f"it names {listed(wanted)}", path=name))
    where = [
        f"under the key {quoted(reading['wrapper'])!r}" if reading["wrapper"] else "",
        f"with the prefix {quoted(reading['prefix'])!r}" if reading["prefix"] else "",
    ]
    if any(where):
        message = f"the weights were found {' '.join(part for part in where if part)}"
        findings.append(found("checkpoint.wrapped", message, path=name))
    if reading["dropped"]:
        message = f"{reading['dropped_count']} tensors: {listed(reading['dropped'])}"
        findings.append(found("checkpoint.left-out", message, path=name))
    return findings


# --------------------------------------------------------------------------- validating


_DEFAULTS: dict[str, Any] = {
    "method": "",
    "wrapper": "",
    "prefix": "",
    "wanted": [],
    "dropped": [],
    "dropped_count": 0,
    "whole_module": False,
    "classes": {},
    "metadata": {},
}


def _checked_reading(path: Path) -> dict[str, Any]:
    """`reading.json` with every field of its type. Raises RefusedFileError or ValueError."""
    value = parse_json(read_regular_file(path, _MAX_READING_BYTES))
    if not isinstance(value, dict) or "problems" not in value:
        raise ValueError("it is not a JSON object that lists problems")
    reading = {**_DEFAULTS, **{key: value[key] for key in _DEFAULTS if key in value}}
    for key, default in _DEFAULTS.items():
        if type(reading[key]) is not type(default):
            raise ValueError(f"{key} is not a {type(default).__name__}")
    for key in ("wanted", "dropped"):
        if not all(isinstance(entry, str) for entry in reading[key]):
            raise ValueError(f"{key} holds something else than text")
    if not all(isinstance(entry, str) for entry in reading["classes"].values()):
        raise ValueError("classes holds something else than text")
    for key in ("problems", "notes"):
        entries = value.get(key)
        if not isinstance(entries, list) or len(entries) > _MAX_PROBLEMS:
            raise ValueError(f"{key} is not a short list")
        reading[key] = [_checked_problem(entry) for entry in entries]
    return reading


def _checked_problem(entry: Any) -> tuple[str, str, str | None]:
    if not isinstance(entry, list) or [type(part) for part in entry] not in (
        [str, str, str],
        [str, str, type(None)],
    ):
        raise ValueError("a problem is not code, message and tensor")
    code, message, tensor = entry
    if code not in CATALOGUE or not code.startswith("checkpoint."):
        raise ValueError("a problem has an unknown code")
    return code, message, tensor


# --------------------------------------------------------------------------- judging


def _judge(
    weights: SafetensorsFile,
    spec: CheckpointSpec,
    module_classes: Mapping[str, str],
    num_classes: int | None,
) -> tuple[ShapeReading, list[Finding]]:
    """The network, as far as it is one, and everything that is wrong with it."""
    shapes = {name: array.shape for name, array in weights.tensors.items()}
    reading = read_shape(shapes, module_classes)
    findings = [*reading.findings, *check_weights(weights.tensors, reading.layers)]
    if reading.layers is not None and reading.shape is not None:
        constraints = dict(spec.constraints)
        if num_classes is not None and "num_classes" in constraints:
            constraints["num_classes"] = num_classes
        findings += check_architecture(reading.layers, reading.shape, constraints)
    other = [
        name
        for name, dtype in weights.dtypes.items()
        if dtype != _FLOAT32 and weights.tensors[name].dtype.kind == "f"
    ]
    if other:
        kinds = ", ".join(sorted({weights.dtypes[name] for name in other}))
        findings.append(
            found("checkpoint.other-type", f"{len(other)} tensors are {kinds}: {listed(other)}")
        )
    return reading, findings
