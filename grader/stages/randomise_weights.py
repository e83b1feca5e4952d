"""The student's program on the same images under weights drawn anew: what its heatmaps rest on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from grader.findings import quoted
from grader.model import CaseRun, CaseStatus, CheckedLayout, RunLimits
from grader.networks import unpickle
from grader.probes import inside
from grader.sandbox.policy import Backend, Command

_INSIDE_PROGRAM = "/probe"
_INSIDE_LOADER = "/loader/unpickle"
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
) -> tuple[Path | None, str]:
    """Run the command of `run` in a copy of the submission whose `checkpoint` is drawn anew.

    `wanted`: the output to bring out; `limits`: of opening a checkpoint and of the command. Returns
    the folder of outputs, or None and the reason where the checkpoint could not be drawn anew or
    the program did not end well. Raises SandboxError when the sandbox fails.
    """
    drawn, outputs, empty = scratch / "drawn", scratch / "outputs", scratch / "empty"
    for folder in (drawn, outputs, empty):
        folder.mkdir(parents=True)
    made = backend.run(
        Command(
            argv=(
                "python",
                f"{_INSIDE_PROGRAM}/randomise_inside.py",
                *(_INSIDE_CHECKPOINT, _RANDOMISED, str(_SEED), _INSIDE_LOADER),
            ),
            workdir=empty,
            mounts={
                _INSIDE_PROGRAM: Path(inside.__file__).parent,
                _INSIDE_LOADER: Path(unpickle.__file__).parent,
                _INSIDE_CHECKPOINT: layout.top / checkpoint,
            },
            limits=limits[0],
            collect=(_RANDOMISED,),
            outputs=drawn,
        )
    )
    if made.status is not CaseStatus.FINISHED or not (drawn / _RANDOMISED).is_file():
        reason = made.limit or made.stderr.strip().rpartition("\n")[2]
        return None, f"the weights in {checkpoint} were not drawn anew: {quoted(reason, 200)}"
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
    if ended.status is not CaseStatus.FINISHED:
        reason = ended.limit or ended.stderr.strip().rpartition("\n")[2]
        return None, f"with weights drawn anew the program failed: {quoted(reason, 200)}"
    return outputs, ""
