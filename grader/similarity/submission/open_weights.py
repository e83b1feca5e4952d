"""The checkpoints of a class, opened in the sandbox: safetensors on disk, and a trace of each."""

from __future__ import annotations

import shutil
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


@dataclass
class OpenedWeights:
    """`traces` of all checkpoints, keyed `submission NUL path`; `layers`: submission → path →
    names of its tensors; `fetch` reads the weights of a key again."""

    folder: Path
    max_bytes: int
    traces: list[CheckpointTrace] = field(default_factory=list)
    layers: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)  # SHA-256 of a checkpoint → its weights
    _refused: set[str] = field(default_factory=set)

    def fetch(self, key: str) -> Mapping[str, npt.NDArray[Any]]:
        """The weights of a key of `traces`."""
        sha256 = next(trace.sha256 for trace in self.traces if trace.key == key)
        return read_safetensors(self._files[sha256], self.max_bytes).tensors

    def add(
        self,
        material: Material,
        spec: CheckpointSpec,
        backend: Callable[[], Backend],
    ) -> None:
        """Open a submission's largest checkpoints; each file once, however many hand it in."""
        sizes = {file.path: (file.size_bytes, file.sha256) for file in material.files}
        largest = sorted(material.checkpoints, key=lambda path: -sizes[path][0])
        for path in sorted(largest[:_MOST_PER_SUBMISSION]):
            size_bytes, sha256 = sizes[path]
            if sha256 in self._refused or size_bytes > spec.limits.file_bytes:
                continue
            if sha256 not in self._files and not self._open(material, path, sha256, spec, backend):
                self._refused.add(sha256)
                continue
            tensors = read_safetensors(self._files[sha256], self.max_bytes).tensors
            key = f"{material.name}{_BETWEEN}{path}"
            self.traces.append(describe_checkpoint(key, sha256, tensors, path))
            self.layers.setdefault(material.name, {})[path] = tuple(tensors)

    def _open(
        self,
        material: Material,
        path: str,
        sha256: str,
        spec: CheckpointSpec,
        backend: Callable[[], Backend],
    ) -> bool:
        source, kept = material.root / path, self.folder / f"{sha256}.safetensors"
        scratch = self.folder / "opening"
        try:
            if looks_like_safetensors(source):
                read_safetensors(source, self.max_bytes)
                shutil.copyfile(source, kept)  # no code can be in it: no sandbox is needed
            else:
                inspected = InspectedZip(material.root, "", 0, None, (), ())
                layout = CheckedLayout(UnpackedTree(inspected, material.root, (), ()), "", {}, ())
                loaded, _ = load_checkpoint(layout, spec, backend(), scratch, source)
                if loaded is None:
                    return False
                shutil.copyfile(loaded.tensors, kept)
        except RefusedFileError:
            return False
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._files[sha256] = kept
        return True


def submission_of(key: str) -> str:
    """The submission of a key of `OpenedWeights.traces`."""
    return key.split(_BETWEEN, 1)[0]


def between_submissions(keys: Iterable[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Those pairs of keys whose checkpoints were handed in by two."""
    return [key for key in keys if submission_of(key[0]) != submission_of(key[1])]
