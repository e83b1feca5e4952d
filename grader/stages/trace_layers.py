"""See which layers a student's network is really made of, by running its program once more.

The program runs under the grader's own one, on few images; what counts is which convolutions and
ready-made normalisations PyTorch computes, not what they are called. Whole pickled modules name
their classes besides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.findings import quoted
from grader.model import CaseRun, CheckedLayout, RunLimits
from grader.probes import inside
from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_file
from grader.sandbox.policy import Backend, Command

_INSIDE_PROGRAM = "/probe"
_INSIDE_OUT = "/answers"
_SEEN = "layers.json"
_MAX_BYTES = 1 << 16
_MAX_COUNT = 100_000
# Names of PyTorch's own classes, as a pickle has them.
_READY_MADE_CLASS = re.compile(r"^(Sync)?((Batch|Instance)Norm[123]d|LayerNorm|GroupNorm|RMSNorm)$")


@dataclass(frozen=True, slots=True)
class LayersSeen:
    """`ready_made` modules that compute a ready-made normalisation, beside `convolutions` modules
    that convolve; `classes`: what the former are called."""

    convolutions: int
    ready_made: int
    classes: tuple[str, ...]


def trace_layers(
    layout: CheckedLayout,
    run: CaseRun,
    mounts: Mapping[str, Path],
    limits: RunLimits,
    backend: Backend,
    scratch: Path,
    environment: Mapping[str, str],
) -> LayersSeen | None:
    """Run the command of `run` again and see its layers; None where nothing could be seen.

    `mounts`: inside paths of what the command reads, with few images. Raises SandboxError when the
    sandbox fails.
    """
    scratch.mkdir(parents=True)
    program = f"{_INSIDE_PROGRAM}/trace_inside.py"
    backend.run(
        Command(
            argv=("python", program, f"{_INSIDE_OUT}/{_SEEN}", *run.argv[1:]),
            workdir=layout.top,
            mounts={_INSIDE_PROGRAM: Path(inside.__file__).parent, **mounts},
            limits=limits,
            collect=(f"{_INSIDE_OUT}/{_SEEN}",),
            outputs=scratch,
            environment=environment,
            writable_dirs=(_INSIDE_OUT,),
        )
    )
    try:
        seen = parse_json(read_regular_file(scratch / _INSIDE_OUT.lstrip("/") / _SEEN, _MAX_BYTES))
    except (RefusedFileError, ValueError):
        return None
    if not isinstance(seen, dict):
        return None
    convolutions, ready_made = (_count(seen.get(key)) for key in ("convolutions", "ready_made"))
    classes = seen.get("classes")
    names = classes if isinstance(classes, list) else []
    return LayersSeen(convolutions, ready_made, tuple(quoted(str(name), 60) for name in names))


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else 0


def layers_of_module(module_classes: Mapping[str, str]) -> LayersSeen | None:
    """The same, from the class names of a whole pickled module; None without any."""
    if not module_classes:
        return None
    names = list(module_classes.values())
    ready_made = [name for name in names if _READY_MADE_CLASS.match(name)]
    convolutions = sum(name.startswith("Conv") for name in names)
    return LayersSeen(convolutions, len(ready_made), tuple(sorted(set(ready_made))))
