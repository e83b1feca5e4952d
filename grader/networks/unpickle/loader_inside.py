"""The program that runs in the sandbox: `CHECKPOINT OUT_DIR MAX_BYTES`.

Writes `weights.safetensors` and `reading.json` into OUT_DIR, the second one also when there is
nothing to write into the first. Exit codes: 0 the checkpoint was read or refused, 3 the memory ran
out, 70 torch is missing: that is the grader's fault.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:
    # Run by its path: the folder becomes a package, so that its modules find each other. The
    # folder above it may not be readable.
    __package__ = "unpickle"
    sys.modules[__package__] = types.ModuleType(__package__)
    sys.modules[__package__].__path__ = [str(Path(__file__).resolve().parent)]

WEIGHTS_NAME = "weights.safetensors"
READING_NAME = "reading.json"
EXIT_MEMORY = 3
EXIT_NO_TORCH = 70
_MAX_NAMED = 50


def read_checkpoint(path: Path, out_dir: Path, max_bytes: int) -> dict[str, Any]:
    """Read `path`, write its weights into `out_dir` and return what `reading.json` says.

    `problems` are [finding code, message, tensor name or null]; a checkpoint with one is refused.
    """
    from .container import recognise  # noqa: PLC0415 - found once the folder is a package

    reading: dict[str, Any] = {"problems": [], "notes": []}
    container = recognise(path, max_bytes)
    reading["container"] = container.kind
    if container.refusal:
        reading["problems"].append([container.refusal, container.message, None])
        return reading
    for name in container.damaged[:_MAX_NAMED]:
        reading["notes"].append(
            ["checkpoint.checksum", f"the record {name} does not have its checksum", None]
        )
    # Only now: what is no checkpoint is refused without the seconds that torch takes to start.
    from .dense_tensors import TooLargeError, dense_tensors  # noqa: PLC0415
    from .find_weights import find_weights  # noqa: PLC0415
    from .write_safetensors import write_safetensors  # noqa: PLC0415

    value, reading["method"], reading["wanted"], refusal = _unpickle(path, container.records)
    if refusal:
        reading["problems"].append(["checkpoint.damaged", refusal, None])
        return reading
    weights = find_weights(value)
    if weights is None:
        reading["problems"].append(["checkpoint.no-weights", "it holds no tensors", None])
        return reading
    reading |= {
        "wrapper": weights.wrapper,
        "prefix": weights.prefix,
        "dropped": weights.dropped[:_MAX_NAMED],
        "dropped_count": len(weights.dropped),
        "whole_module": weights.whole_module,
        "classes": weights.classes,
        "metadata": weights.metadata,
    }
    try:
        dense, refused = dense_tensors(weights.tensors, max_bytes)
    except TooLargeError as error:
        reading["problems"].append(["checkpoint.too-large", str(error), None])
        return reading
    for name, reason in list(refused.items())[:_MAX_NAMED]:
        reading["problems"].append(["checkpoint.refused-tensor", reason, name])
    write_safetensors(out_dir / WEIGHTS_NAME, dense)
    return reading


def _unpickle(path: Path, records: str | None) -> tuple[Any, str, list[str], str]:
    """(value, "weights-only" or "restricted", classes that were not run, refusal)."""
    import torch  # noqa: PLC0415

    from .restricted_pickle import UnreadableError, read_restricted  # noqa: PLC0415

    try:
        with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever torch makes of it, the restricted reader decides
        try:
            restricted = read_restricted(path, records)
        except UnreadableError as error:
            return None, "restricted", [], str(error)
        return restricted.value, "restricted", sorted(restricted.wanted)[:_MAX_NAMED], ""
    return value, "weights-only", [], ""


def main(arguments: list[str]) -> int:
    """Run as a program; returns the exit code."""
    path, out_dir, max_bytes = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    try:
        reading = read_checkpoint(path, out_dir, max_bytes)
    except ImportError:
        return EXIT_NO_TORCH
    except MemoryError:
        return EXIT_MEMORY
    text = json.dumps(reading, ensure_ascii=True)
    (out_dir / READING_NAME).write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
