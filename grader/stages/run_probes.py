"""Run the student's own layers on given arrays in the sandbox, and judge what came out outside.

Inside is the grader's program with the student's module; what it returns is a stranger's word and
is read as such: arrays by the strict reader, names as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from grader.findings import found, listed, quoted
from grader.model import Assignment, CheckedLayout, Finding, ProbeSpec
from grader.probes import SUBJECTS, inside
from grader.probes.judge import CheckedProbe, Judgement, Returned, judge
from grader.probes.normalization import Subject
from grader.probes.plan import CHECKS, SIZES, make_arrays
from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_file
from grader.readers.safetensors_file import read_safetensors
from grader.sandbox.policy import Backend, Command, Outcome

_INSIDE_PROGRAM = "/probe"
_INSIDE_REQUEST = "/request"
_INSIDE_OUT = "/answers"
_SEEN = "probes.json"
_MAX_SEEN_BYTES = 1 << 20
_MAX_ARRAYS_BYTES = 64 << 20
_SEED = 20240214
_SHOWN = 3
# Modules of PyTorch that hold whole normalisations; what derives from one is not from scratch.
_READY_MADE_MODULES = frozenset(
    f"torch.nn.modules.{name}" for name in ("batchnorm", "instancenorm", "normalization")
)


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of one probe. `judgement` is None where the layer could not be run;
    `ready_made`: what of PyTorch's own normalisations it is made of, "" where it is its own."""

    spec: ProbeSpec
    judgement: Judgement | None
    class_name: str = ""
    ready_made: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


def run_probes(
    layout: CheckedLayout,
    assignment: Assignment,
    backend: Backend,
    scratch: Path,
    environment: Mapping[str, str],
) -> tuple[tuple[Probed, ...], tuple[Finding, ...]]:
    """Every probe of the definition, in its order; one sandboxed command for each file.

    `scratch`: a host folder for this stage alone. Raises SandboxError when the sandbox fails.
    """
    arrays = make_arrays(_SEED)
    probed: dict[str, Probed] = {}
    findings: list[Finding] = []
    for role in dict.fromkeys(spec.role for spec in assignment.probes):
        specs = [spec for spec in assignment.probes if spec.role == role]
        if role not in layout.roles:
            probed |= {spec.id: Probed(spec, None) for spec in specs}
            continue  # check_layout has said that the file is missing
        folder = scratch / role
        outcome = _run(layout, layout.roles[role], specs, arrays, backend, folder, environment)
        path = layout.roles[role]
        seen, noted = _read(outcome, folder, path)
        findings += noted
        for spec in specs:
            one, noted = _judge(spec, seen.get(spec.id, {}), arrays, folder / "out", path)
            probed[spec.id] = one
            findings += noted if seen else ()
    return tuple(probed[spec.id] for spec in assignment.probes), tuple(findings)


def _run(
    layout: CheckedLayout,
    module: str,
    specs: Sequence[ProbeSpec],
    arrays: Mapping[str, npt.NDArray[np.float32]],
    backend: Backend,
    folder: Path,
    environment: Mapping[str, str],
) -> Outcome:
    request = folder / "request"
    request.mkdir(parents=True)
    request.chmod(0o755)  # whatever the umask: read by another user inside
    outputs = folder / "out"
    outputs.mkdir()
    save_file(dict(arrays), request / "arrays.safetensors")
    (request / "arrays.safetensors").chmod(0o644)
    asked = {
        "sizes": SIZES,
        "probes": [
            {
                "id": spec.id,
                "class_names": list(spec.class_names),
                "checks": [check.asked() for check in CHECKS],
            }
            for spec in specs
        ],
    }
    (request / "request.json").write_text(json.dumps(asked), encoding="ascii")
    (request / "request.json").chmod(0o644)
    files = [f"{_INSIDE_OUT}/{name}" for name in (_SEEN, *(f"{s.id}.safetensors" for s in specs))]
    return backend.run(
        Command(
            argv=(
                "python",
                f"{_INSIDE_PROGRAM}/probe_inside.py",
                *(module, _INSIDE_REQUEST, _INSIDE_OUT),
            ),
            workdir=layout.top,
            mounts={
                _INSIDE_PROGRAM: Path(inside.__file__).parent,
                _INSIDE_REQUEST: request,
            },
            limits=specs[0].limits,
            collect=tuple(files),
            outputs=outputs,
            environment=environment,
            writable_dirs=(_INSIDE_OUT,),
        )
    )


def _read(outcome: Outcome, folder: Path, path: str) -> tuple[Mapping[str, Any], list[Finding]]:
    """Probe id → what was seen of it; empty with the reason where nothing can be used."""
    if outcome.status.is_limit:
        return {}, [found("result.layer-stopped", outcome.limit, path=path)]
    try:
        place = folder / "out" / _INSIDE_OUT.lstrip("/") / _SEEN
        seen = _as_dict(parse_json(read_regular_file(place, _MAX_SEEN_BYTES)))
    except (RefusedFileError, ValueError):
        last = outcome.stderr.strip().rpartition("\n")[2]
        message = f"the layers could not be run: {quoted(last, 200) or 'no answer came back'}"
        return {}, [found("result.layer-stopped", message, path=path)]
    if seen.get("import_error"):
        message = f"importing it fails: {quoted(str(seen['import_error']), 200)}"
        return {}, [found("result.layer-stopped", message, path=path)]
    probed = _as_dict(seen.get("probes"))
    return {key: value for key, value in probed.items() if isinstance(value, dict)}, []


def _judge(
    spec: ProbeSpec,
    seen: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[np.float32]],
    out: Path,
    path: str,
) -> tuple[Probed, list[Finding]]:
    if not seen or seen.get("missing"):
        message = f"{spec.title}: no class here is called like {listed(spec.class_names)}"
        return Probed(spec, None), [found("result.layer-absent", message, path=path)]
    name = quoted(str(seen.get("class", "")), 80)
    errors = {
        str(key): quoted(str(text), 200)
        for key, text in _as_dict(seen.get("errors")).items()
        if any(check.id == key for check in CHECKS)
    }
    subject = _subject(spec.subject)
    file = out / _INSIDE_OUT.lstrip("/") / f"{spec.id}.safetensors"
    try:
        returned = Returned(
            read_safetensors(file, _MAX_ARRAYS_BYTES).tensors if file.is_file() else {},
            _number(_as_dict(seen.get("defaults")).get("gate"), 1.0),
        )
    except RefusedFileError as error:
        message = f"{name}: what it returned cannot be read: {quoted(str(error), 200)}"
        return Probed(spec, None, name), [found("result.layer-stopped", message, path=path)]
    probed = Probed(spec, judge(subject, CHECKS, arrays, returned), name, _ready_made(seen), errors)
    return probed, _told(probed, path)


def _told(probed: Probed, path: str) -> list[Finding]:
    findings: list[Finding] = []
    if probed.ready_made:
        message = f"{probed.class_name} ({probed.spec.title}) is not written from scratch: "
        findings.append(found("result.ready-made-layer", message + probed.ready_made, path=path))
    judgement = probed.judgement
    failed = [] if judgement is None else [c for c in judgement.checks if not c.passed]
    if judgement is not None and failed:
        told = [
            f"{checked.check.title}: {_how(checked, probed.errors)}" for checked in failed[:_SHOWN]
        ]
        because = f"; this is what comes out when {judgement.mistake}" if judgement.mistake else ""
        message = (
            f"{probed.class_name} ({probed.spec.title}) gives other numbers in {len(failed)} of "
            f"{len(judgement.checks)} checks{because}. {'; '.join(told)}"
        )
        findings.append(found("result.layer-differs", message, path=path))
    return findings


def _how(checked: CheckedProbe, errors: Mapping[str, str]) -> str:
    if checked.check.id in errors:
        return errors[checked.check.id]
    if checked.deviation == float("inf"):
        return f"nothing comparable came back ({checked.what})"
    return f"{checked.what} is off by {checked.deviation:.1e} of its largest value"


def _ready_made(seen: Mapping[str, Any]) -> str:
    """What of the layer is PyTorch's own normalisation, in words."""
    bases = [str(name) for name in _as_list(seen.get("bases"))]
    parts = [str(name) for name in _as_list(seen.get("parts"))]
    said = []
    for names, how in ((bases, "it is a"), (parts, "it holds a")):
        ready = [name for name in names if name.rpartition(".")[0] in _READY_MADE_MODULES]
        if ready:
            said.append(f"{how} {quoted(ready[0], 80)}")
    ran = [str(name) for name in _as_list(seen.get("ready_made"))]
    if ran and not said:
        said.append(f"it calls {quoted(ran[0], 80)}")
    return ", ".join(said)


def _subject(name: str) -> Subject:
    module, _, attribute = SUBJECTS[name].partition(":")
    subject = getattr(import_module(module), attribute)
    if not isinstance(subject, Subject):
        raise TypeError(f"{SUBJECTS[name]} is no subject of a probe")
    return subject


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any, default: float) -> float:
    usable = isinstance(value, int | float) and -1e3 < value < 1e3
    return float(value) if usable else default
