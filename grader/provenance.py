"""What a mark rests on: hashes, versions, back end and seeds, so that it can be repeated.

Versions are read from the installed packages' metadata: asking torch for its own would import it.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import grader
from grader.model import Assignment, InspectedZip, Truth
from grader.sandbox import Backend

# They take part in marking.
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "safetensors")


def describe_provenance(
    inspected: InspectedZip, truth: Truth, assignment: Assignment, backend: Backend
) -> dict[str, Any]:
    """Everything that has to be the same for the same marks."""
    return {
        "zip_sha256": inspected.sha256,
        "truth_sha256": truth.sha256,
        "definition_sha256": assignment.sha256,
        "assignment": assignment.id,
        "classes_from": truth.classes_from,
        "staging_seed": truth.staging_seed,
        "versions": {
            "grader": grader.__version__,
            "python": platform.python_version(),
            **{package: installed_version(package) for package in PACKAGES},
        },
        "sandbox": {"backend": backend.name, "isolation": backend.isolation},
        "device": "cpu",
    }


@cache
def installed_version(package: str) -> str | None:
    """The installed version of a distribution, None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe_volatile(started: float, durations: Mapping[str, float]) -> dict[str, Any]:
    """What differs from run to run: when, where, how long."""
    return {
        "started_at": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "durations_seconds": {stage: round(seconds, 4) for stage, seconds in durations.items()},
    }
