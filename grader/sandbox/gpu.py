"""NVIDIA graphics processors: what the machine has, and what a sandbox must show of it.

Nothing is loaded and nothing is started: device nodes and the driver's own files are looked at.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_DEVICES = Path("/dev")
_DRIVER = Path("/proc/driver/nvidia")
# Not needed to compute, and a way to change the driver's settings.
_WITHHELD = ("nvidia-modeset", "nvidia-vgpuctl")


@dataclass(frozen=True, slots=True)
class GpuReport:
    """`usable`: whether programs could compute on it; `detail` names models and driver or says what
    is missing; `remedy` what to do about it."""

    usable: bool
    detail: str
    remedy: str


def device_nodes(devices: Path = _DEVICES) -> tuple[Path, ...]:
    """The device nodes that CUDA opens, sorted; empty without an NVIDIA driver."""
    nodes = [
        *devices.glob("nvidia*"),
        *devices.glob("nvidia-caps/*"),
        *devices.glob("dxg"),  # Linux under Windows
    ]
    return tuple(
        sorted(path for path in nodes if path.is_char_device() and path.name not in _WITHHELD)
    )


def probe_gpu(devices: Path = _DEVICES, driver: Path = _DRIVER) -> GpuReport:
    """Report on the machine's NVIDIA processors; never raises."""
    nodes = device_nodes(devices)
    models = sorted(
        line.split(":", 1)[1].strip()
        for path in driver.glob("gpus/*/information")
        for line in _lines(path)
        if line.startswith("Model:")
    )
    if not nodes:
        if models:
            return GpuReport(
                False,
                f"{', '.join(models)}: the driver is loaded, but /dev has no nvidia nodes",
                "Run nvidia-modprobe -u -c=0 as root, or pass the devices into the container.",
            )
        return GpuReport(False, "no NVIDIA device: student code runs on the processor", "")
    closed = [path.name for path in nodes if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return GpuReport(
            False,
            f"the device nodes {', '.join(closed)} cannot be opened by this user",
            "Add the user to the group that owns them (often `video` or `render`).",
        )
    version = next(iter(_lines(driver / "version")), "driver of unknown version")
    return GpuReport(True, f"{', '.join(models) or 'NVIDIA device'} ({version})", "")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
