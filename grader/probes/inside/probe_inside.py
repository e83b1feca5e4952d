"""The program that runs in the sandbox: `MODULE REQUEST_DIR OUT_DIR`.

Imports the student's MODULE (a path relative to the working directory), makes instances of the
classes that the request asks for, and runs them on the request's arrays. It writes, per probe,
`ID.safetensors` (what came out) and, at last, `probes.json` (what was seen on the way). It judges
nothing: everything here is in the hands of the student's code.
"""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import inspect
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

RESULTS_NAME = "probes.json"
_MAX_TEXT = 300
# Whole normalisations as PyTorch's dispatcher calls them, whatever Python name led there.
READY_MADE = re.compile(r"(batch|instance|layer|group|rms)_norm")

_ROLES = (
    ("gate", re.compile(r"rho|gate|lambda|mix", re.IGNORECASE)),
    ("weight", re.compile(r"weight|gamma|scale|^g$|^w$|^a$", re.IGNORECASE)),
    ("bias", re.compile(r"bias|beta|shift|offset|^b$", re.IGNORECASE)),
)
_CHANNELS = re.compile(r"feature|channel|^(c|dim|planes|in_c|out_c|width_c|nf)$", re.IGNORECASE)
_GROUPS = re.compile(r"group|^g$", re.IGNORECASE)
_SHAPE = re.compile(r"shape", re.IGNORECASE)
_HEIGHT = re.compile(r"^(h|height|size|size_px|side|map_size)$", re.IGNORECASE)
_WIDTH = re.compile(r"^(w|width)$", re.IGNORECASE)


class OpsSeen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the names of ready-made normalisations that are computed below it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if READY_MADE.search(name):
            self.names.add(name)
        return func(*args, **(kwargs or {}))


def import_student(module: str) -> Any:
    """The module, as a part of its package where it lies in one, else by its path."""
    sys.path.insert(0, str(Path.cwd()))
    path = Path(module)
    dotted = ".".join(path.with_suffix("").parts)
    if all(part.isidentifier() for part in dotted.split(".")):
        return importlib.import_module(dotted)
    spec = importlib.util.spec_from_file_location("student", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["student"] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def choose_class(module: Any, patterns: list[str]) -> type | None:
    """The module's class with the best-named pattern; its own classes before imported ones."""
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, nn.Module)
    ]
    classes.sort(key=lambda found: found.__module__ != module.__name__)
    for pattern in patterns:
        for found in classes:
            if fnmatch.fnmatchcase(_plain(found.__name__), _plain(pattern)):
                return found
    return None


def _plain(name: str) -> str:
    """`Batch_Instance_Norm` and `batch-instancenorm` alike."""
    return name.casefold().replace("_", "").replace("-", "")


def make(found: type, sizes: dict[str, int]) -> nn.Module:
    """An instance for (N, C, H, W) maps, whatever its constructor calls its arguments."""
    channels, groups = sizes["channels"], sizes["groups"]
    height, width = sizes["height"], sizes["width"]
    named: dict[str, Any] = {}
    for parameter in inspect.signature(found).parameters.values():
        name = parameter.name
        if _GROUPS.search(name):
            named[name] = groups
        elif _SHAPE.search(name):
            named[name] = (channels, height, width)
        elif _CHANNELS.search(name):
            named[name] = channels
        elif parameter.default is parameter.empty and _HEIGHT.search(name):
            named[name] = height
        elif parameter.default is parameter.empty and _WIDTH.search(name):
            named[name] = width
    ways: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), named)] if named else []
    ways += [
        ((channels,), {}),
        ((groups, channels), {}),
        ((channels, groups), {}),
        (((channels, height, width),), {}),
        ((channels, height, width), {}),
        ((), {}),
    ]
    first: Exception | None = None
    for arguments, keywords in ways:
        try:
            made = found(*arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - a stranger's constructor; the first error is told
            first = first or error
            continue
        assert isinstance(made, nn.Module)
        return made
    assert first is not None
    raise first


def roles_of(module: nn.Module) -> dict[str, str]:
    """Parameter name → "weight", "bias" or "gate", by their names, then by what is left over."""
    roles: dict[str, str] = {}
    names = [name for name, _ in module.named_parameters()]
    for name in names:
        leaf = name.rpartition(".")[2]
        role = next((role for role, pattern in _ROLES if pattern.search(leaf)), None)
        if role is not None and role not in roles.values():
            roles[name] = role
    for name in names:
        left = [role for role in ("weight", "bias", "gate") if role not in roles.values()]
        if name not in roles and left:
            roles[name] = left[0]
    return roles


def run_check(
    module: nn.Module, check: dict[str, Any], arrays: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """One check on a fresh instance: set parameters, take steps, and keep what comes out."""
    dtype = getattr(torch, check["dtype"])
    module = module.to(dtype)
    roles = roles_of(module)
    if check["affine"]:
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                values = arrays[roles[name]].to(dtype) if name in roles else None
                if values is not None:
                    parameter.copy_(_fitted(values, parameter))
    module.train()
    for step in check["steps"]:
        with torch.no_grad():
            module(arrays[step].to(dtype).clone())
    module.train(check["mode"] == "train")
    inputs = arrays[check["input"]].to(dtype).clone()
    given = inputs.clone().requires_grad_(check["gradient"])
    outputs = module(given)
    kept = {"output": outputs.detach()}
    if check["gradient"]:
        (outputs * arrays[check["weights"]].to(dtype)).sum().backward()
        if given.grad is not None:
            kept["grad.input"] = given.grad
        for name, parameter in module.named_parameters():
            if name in roles and parameter.grad is not None:
                kept[f"grad.{roles[name]}"] = parameter.grad
    return {name: tensor.detach().double().contiguous().clone() for name, tensor in kept.items()}


def _fitted(values: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """(C,) values in the parameter's own shape: a vector, (1, C, 1, 1), (C, H, W) or one number."""
    if parameter.numel() == values.numel():
        return values.reshape(parameter.shape)
    if parameter.numel() == 1:
        return values.mean().reshape(parameter.shape)
    return values.view(-1, 1, 1).expand(parameter.shape[-3:]).reshape(parameter.shape)


def describe(module: nn.Module) -> dict[str, Any]:
    """What the instance is made of: names of classes only."""
    return {
        "class": type(module).__name__,
        "bases": [f"{base.__module__}.{base.__name__}" for base in type(module).__mro__],
        "parts": sorted(
            {
                f"{type(m).__module__}.{type(m).__name__}"
                for m in module.modules()
                if m is not module
            }
        ),
        "defaults": {
            roles: float(parameter.detach().double().mean())
            for (name, parameter) in module.named_parameters()
            if (roles := roles_of(module).get(name)) is not None
        },
        "shapes": {
            role: list(dict(module.named_parameters())[name].shape)
            for name, role in roles_of(module).items()
        },
        "buffers": [name for name, _ in module.named_buffers()],
    }


def run_probe(
    student: Any, probe: dict[str, Any], request: dict[str, Any], folder: Path, out: Path
) -> dict[str, Any]:
    """One class through all checks; errors are told, not raised."""
    arrays = load_file(folder / "arrays.safetensors")
    found = choose_class(student, probe["class_names"])
    if found is None:
        return {"missing": True}
    seen: dict[str, Any] = {
        "missing": False,
        "class": found.__name__,
        "errors": {},
        "ready_made": [],
    }
    results: dict[str, torch.Tensor] = {}
    ops = OpsSeen()
    for check in probe["checks"]:
        torch.manual_seed(0)
        try:
            module = make(found, request["sizes"])
            if "bases" not in seen:
                seen.update(describe(module))
            with ops:
                kept = run_check(module, check, arrays)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's layer raises is the answer
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
            seen["errors"][check["id"]] = text[:_MAX_TEXT]
            continue
        results.update({f"{check['id']}/{name}": tensor for name, tensor in kept.items()})
    seen["ready_made"] = sorted(ops.names)
    if results:
        save_file(results, out / f"{probe['id']}.safetensors")
    return seen


def main(arguments: list[str]) -> int:
    """Run as a program; returns the exit code."""
    module, folder, out = arguments[0], Path(arguments[1]), Path(arguments[2])
    torch.set_num_threads(1)
    request = json.loads((folder / "request.json").read_text("ascii"))
    seen: dict[str, Any] = {"import_error": "", "probes": {}}
    try:
        student = import_student(module)
    except BaseException as error:  # noqa: BLE001 - a stranger's module may raise anything
        seen["import_error"] = f"{type(error).__name__}: {error}"[:_MAX_TEXT]
        student = None
    for probe in request["probes"] if student is not None else []:
        seen["probes"][probe["id"]] = run_probe(student, probe, request, folder, out)
    (out / RESULTS_NAME).write_text(json.dumps(seen), encoding="ascii")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
