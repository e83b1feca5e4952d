"""The checkpoints of a class, opened in the sandbox: safetensors on disk, and a trace of each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from grader.model import CheckedLayout, CheckpointSpec, InspectedZip, UnpackedTree
from grader.readers.regular_file import RefusedFileError
from grader.readers.safetensors_file import looks_like_safetensors, read_safetensors
from grader.sandbox import Backend
from grader.similarity.checkpoints.describe import CheckpointTrace, describe_checkpoint
from grader.similarity.submission.read_material import Material
from grader.stages.load_checkpoint import load_checkpoint

_MOST_PER_SUBMISSION = 8
# Between a submission and the path in it: no name holds it, and it sorts before every character.
_BETWEEN = "\0"


@dataclass(frozen=True, slots=True)
class OpenedSubmission:
    """One submission's checkpoints: a trace of each, and the names of its tensors by path."""

    traces: tuple[CheckpointTrace, ...]
    layers: Mapping[str, tuple[str, ...]]


@dataclass
class OpenedWeights:
    """Weights on disk, a file for each different checkpoint; keys are `submission NUL path`.

    Several threads may open submissions at the same time.
    """

    folder: Path
    max_bytes: int
    _files: dict[str, Path | None] = field(default_factory=dict)  # by SHA-256; None: refused
    _sha256: dict[str, str] = field(default_factory=dict)  # of a key

    def fetch(self, key: str) -> Mapping[str, npt.NDArray[Any]]:
        """The weights of a key of the traces."""
        kept = self._files[self._sha256[key]]
        assert kept is not None, "what was refused has no trace"
        return read_safetensors(kept, self.max_bytes).tensors

    def open(
        self, material: Material, spec: CheckpointSpec, backend: Callable[[], Backend]
    ) -> OpenedSubmission:
        """Open a submission's largest checkpoints; each file once, however many hand it in. What
        cannot be opened is left out: scoring says why. Raises SandboxError as `backend` does."""
        sizes = {file.path: (file.size_bytes, file.sha256) for file in material.files}
        largest = sorted(material.checkpoints, key=lambda path: -sizes[path][0])
        traces, layers = [], {}
        for path in sorted(largest[:_MOST_PER_SUBMISSION]):
            size_bytes, sha256 = sizes[path]
            if size_bytes > spec.limits.file_bytes:
                continue
            if sha256 not in self._files:
                self._files[sha256] = self._open(material, path, sha256, spec, backend)
            kept = self._files[sha256]
            if kept is None:
                continue
            tensors = read_safetensors(kept, self.max_bytes).tensors
            key = f"{material.name}{_BETWEEN}{path}"
            self._sha256[key] = sha256
            traces.append(describe_checkpoint(key, sha256, tensors, path))
            layers[path] = tuple(tensors)
        return OpenedSubmission(tuple(traces), layers)

    def _open(
        self,
        material: Material,
        path: str,
        sha256: str,
        spec: CheckpointSpec,
        backend: Callable[[], Backend],
    ) -> Path | None:
        source = material.root / path
        # Two threads may come upon one file: each works in a folder of its own.
        scratch = Path(tempfile.mkdtemp(prefix="opening-", dir=self.folder))
        try:
            if looks_like_safetensors(source):
                read_safetensors(source, self.max_bytes)
                weights = source  # no code can be in it: no sandbox is needed
            else:
                inspected = InspectedZip(material.root, "", 0, None, (), ())
                layout = CheckedLayout(UnpackedTree(inspected, material.root, (), ()), "", {}, ())
                loaded, _ = load_checkpoint(layout, spec, backend(), scratch / "in", source)
                if loaded is None:
                    return None
                weights = loaded.tensors
            copy = shutil.copyfile(weights, scratch / "weights")
            return copy.replace(self.folder / f"{sha256}.safetensors")
        except RefusedFileError:
            return None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def submission_of(key: str) -> str:
    """The submission of a key of `OpenedWeights.traces`."""
    return key.split(_BETWEEN, 1)[0]


def between_submissions(keys: Iterable[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Those pairs of keys whose checkpoints were handed in by two."""
    return [key for key in keys if submission_of(key[0]) != submission_of(key[1])]
