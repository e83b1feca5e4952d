"""The student's program on the same images under weights drawn anew: what its heatmaps rest on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from grader.model import CaseRun, CaseStatus, CheckedLayout, RunLimits
from grader.probes import inside
from grader.sandbox.policy import Backend, Command

_INSIDE_PROGRAM = "/probe"
_INSIDE_CHECKPOINT = "/weights/checkpoint"
_RANDOMISED = "randomised.pth"
_SEED = 2018


def randomise_weights(
    layout: CheckedLayout,
    checkpoint: str,
    run: CaseRun,
    mounts: Mapping[str, Path],
    wanted: str,
    limits: tuple[RunLimits, RunLimits],
    backend: Backend,
    scratch: Path,
    environment: Mapping[str, str],
) -> Path | None:
    """Run the command of `run` in a copy of the submission whose `checkpoint` is drawn anew.

    `wanted`: the output to bring out; `limits`: of opening a checkpoint and of the command. Returns
    the folder of outputs, or None where the checkpoint could not be drawn anew or the program did
    not end well. Raises SandboxError when the sandbox fails.
    """
    drawn, outputs, empty = scratch / "drawn", scratch / "outputs", scratch / "empty"
    for folder in (drawn, outputs, empty):
        folder.mkdir(parents=True)
    made = backend.run(
        Command(
            argv=(
                "python",
                f"{_INSIDE_PROGRAM}/randomise_inside.py",
                *(_INSIDE_CHECKPOINT, _RANDOMISED, str(_SEED)),
            ),
            workdir=empty,
            mounts={
                _INSIDE_PROGRAM: Path(inside.__file__).parent,
                _INSIDE_CHECKPOINT: layout.top / checkpoint,
            },
            limits=limits[0],
            collect=(_RANDOMISED,),
            outputs=drawn,
        )
    )
    if made.status is not CaseStatus.FINISHED or not (drawn / _RANDOMISED).is_file():
        return None
    copy = scratch / "submission"
    shutil.copytree(layout.top, copy)
    place = copy / checkpoint
    place.parent.chmod(0o755)
    place.unlink()
    shutil.copyfile(drawn / _RANDOMISED, place)
    place.chmod(0o644)
    ended = backend.run(
        Command(
            argv=run.argv,
            workdir=copy,
            mounts=mounts,
            limits=limits[1],
            collect=(wanted,),
            outputs=outputs,
            environment=environment,
        )
    )
    return outputs if ended.status is CaseStatus.FINISHED else None
