"""Weights that anybody can download, recognised by small stored fingerprints.

Two kinds are kept in the folder `public_weights`: `*.files.json` lists the first digits of the
SHA-256 of published files (torchvision names its files by them), which find a file that was handed
in as it is; `*.weights.json` holds the trace of one network, a few kilobytes, which also finds it
after fine-tuning, in another type or with another head. `grader fingerprint` makes the second kind.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import UsageError
from grader.findings import found, quoted
from grader.model import Finding, Json
from grader.readers.json_file import parse_json
from grader.readers.regular_file import RefusedFileError, read_regular_file
from grader.similarity.checkpoints.describe import SKETCH_SIZE, CheckpointTrace, WeightTrace
from grader.similarity.checkpoints.match_weights import (
    estimated_cosine,
    match_by_direction,
    matched_share,
)

FOLDER = Path(__file__).with_name("public_weights")
SCHEMA_VERSION = 1

_DERIVED = 0.5  # of the cosine; strangers stay below 0.3, with the luck of the best match counted
_MATCHED = 0.5  # of the smaller one's numbers
_LEAST_WEIGHTS = 4  # fewer say too little: one sketch is right to 0.12 only
_MAX_BYTES = 32 << 20
_LEAST_PREFIX = 8  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class PublicWeights:
    """One published network: its name, and its trace (no profiles: they are not stored)."""

    name: str
    trace: CheckpointTrace


@dataclass(frozen=True, slots=True)
class Published:
    """All that is known: `files`: first digits of a SHA-256 → name; `networks` by their traces."""

    files: Mapping[str, str]
    networks: tuple[PublicWeights, ...]


@dataclass(frozen=True, slots=True)
class PublicMatch:
    """`same_file`: byte for byte; else `cosine` is estimated from sketches, and `same` is the share
    of the checkpoint's numbers that lie in weights with an equal hash."""

    name: str
    same_file: bool
    cosine: float
    same: float


def find_public(trace: CheckpointTrace, published: Published) -> PublicMatch | None:
    """The public weights that `trace` derives from, where it derives from any."""
    for digits, name in published.files.items():
        if trace.sha256.startswith(digits):
            return PublicMatch(name, True, 1.0, 1.0)
    matches = []
    for network in published.networks:
        matched = match_by_direction(trace.weights, network.trace.weights)
        if len(matched) < _LEAST_WEIGHTS:
            continue
        if matched_share(trace.weights, network.trace.weights, matched) < _MATCHED:
            continue
        cosine = estimated_cosine(trace.weights, network.trace.weights, matched)
        if cosine >= _DERIVED:
            halves = {weight.half for weight in network.trace.weights}
            same = sum(w.numbers for w in trace.weights if w.half in halves)
            whole = sum(w.numbers for w in trace.weights)
            matches.append(PublicMatch(network.name, False, cosine, same / whole))
    return max(matches, key=lambda match: match.cosine, default=None)


def public_finding(match: PublicMatch, path: str | None) -> Finding:
    """What is said of a checkpoint where training from scratch was asked for."""
    name = quoted(match.name)
    if match.same_file:
        message = f"it is the published file {name}, byte for byte"
    elif match.same > 0.5:
        message = f"{match.same:.0%} of its numbers are those of the public weights {name}"
    else:
        message = (
            f"its weights point where those of the public weights {name} point: cosine about "
            f"{match.cosine:.2f}; networks trained from scratch stay below 0.1"
        )
    evidence = {"public": match.name, "cosine": round(match.cosine, 3), "same": match.same}
    return found("checkpoint.public-weights", message, path=path, evidence=evidence)


@cache
def shipped() -> Published:
    """What comes with the grader."""
    return read_published((FOLDER,))


def read_published(folders: Iterable[Path]) -> Published:
    """Everything in `folders`. Raises UsageError that names the file which cannot be used."""
    files: dict[str, str] = {}
    networks = []
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            document = _read(path)
            try:
                if path.name.endswith(".files.json"):
                    files |= _files(document)
                else:
                    networks.append(_network(document))
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(
                    f"{path}: no fingerprint of public weights: {error}",
                    hint="make it again with `grader fingerprint`",
                ) from error
    return Published(files, tuple(networks))


def _read(path: Path) -> Any:
    try:
        return parse_json(read_regular_file(path, _MAX_BYTES))
    except (RefusedFileError, ValueError) as error:
        raise UsageError(
            f"{path}: {error}", hint="make it again with `grader fingerprint`"
        ) from error


def _files(document: Any) -> dict[str, str]:
    files = {str(digits): str(name) for digits, name in document["files"].items()}
    if any(len(digits) < _LEAST_PREFIX for digits in files):
        raise ValueError(f"fewer than {_LEAST_PREFIX} digits of a SHA-256")
    return files


def _network(document: Any) -> PublicWeights:
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {document['schema_version']!r} is not {SCHEMA_VERSION}")
    return PublicWeights(
        str(document["name"]),
        CheckpointTrace(
            key=str(document["name"]),
            sha256=str(document["sha256"]),
            weights=tuple(_weight(entry) for entry in document["weights"]),
            steps=None,
        ),
    )


def _weight(entry: Any) -> WeightTrace:
    sketch = np.frombuffer(base64.b64decode(entry["sketch"], validate=True), "<f2")
    if sketch.shape != (SKETCH_SIZE,) or not np.isfinite(sketch).all():
        raise ValueError(f"a sketch of {sketch.size} numbers")
    return WeightTrace(
        name=str(entry["name"]),
        shape=tuple(int(side) for side in entry["shape"]),
        exact="",
        half=str(entry["half"]),
        sketch=sketch.astype(np.float32),
        profile=np.zeros((2, int(entry["shape"][0])), np.float32),
    )


def fingerprint(name: str, trace: CheckpointTrace) -> Json:
    """The document of a `*.weights.json`. Sketches are scaled to length 1 and kept as float16."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "sha256": trace.sha256,
        "weights": [
            {
                "name": weight.name,
                "shape": list(weight.shape),
                "half": weight.half,
                "sketch": base64.b64encode(_unit(weight).astype("<f2").tobytes()).decode("ascii"),
            }
            for weight in trace.weights
        ],
    }


def _unit(weight: WeightTrace) -> np.ndarray[Any, np.dtype[np.float32]]:
    length = float(np.linalg.norm(weight.sketch))
    return weight.sketch / np.float32(length) if length > 0 else weight.sketch
