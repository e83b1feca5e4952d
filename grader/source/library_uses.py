"""Which modules a file imports and which of their names it uses, resolved through aliases."""

from __future__ import annotations

import ast
from typing import NamedTuple

from grader.source.facts import Import, OpenImport, PretrainedUse, Use
from grader.source.known_packages import KNOWN_PACKAGES
from grader.source.scan import (
    CONDITIONAL,
    IMPORT_GUARD,
    IMPORTING_CALLS,
    TYPE_CHECKING,
    Scan,
    Sighting,
    imported_by_call,
)

_MODULE_LISTS = ("pkgutil.iter_modules", "pkgutil.walk_packages")
# Whose `weights=` are a network's. Elsewhere the word means something else: a share for each
# class, sample or voter.
_MODEL_LIBRARIES = (
    "torchvision.models",
    "torch.hub",
    "timm",
    "segmentation_models_pytorch",
    "keras.applications",
    "tensorflow.keras.applications",
    "tf_keras.applications",
)
# `weights=` picks published weights by their name; a file is one's own.
_WEIGHT_FILES = (".pth", ".pt", ".ckpt", ".h5", ".hdf5", ".keras", ".safetensors", ".bin")


class LibraryUses(NamedTuple):
    imports: tuple[Import, ...]
    open_imports: tuple[OpenImport, ...]
    uses: tuple[Use, ...]
    pretrained: tuple[PretrainedUse, ...]


def find_library_uses(scan: Scan) -> LibraryUses:
    """Imports and uses in source order; what stands under `if TYPE_CHECKING:` never runs."""
    imports = [
        item
        for sighting in scan.imports
        if not sighting.flags & TYPE_CHECKING
        for item in _statement(sighting)
    ]
    open_imports: list[OpenImport] = []
    uses: dict[tuple[str, int, bool], Use] = {}
    pretrained: list[PretrainedUse] = []
    called = {id(sighting.node.func) for sighting in scan.calls}

    for sighting in scan.calls:
        functions = scan.resolve(sighting.node.func, sighting.scope)
        for function in functions:
            if function in IMPORTING_CALLS:
                module = imported_by_call(function, sighting.node, scan, sighting.scope)
                if module is not None:
                    imports.append(_called_import(module, sighting))
                elif sighting.node.args:
                    open_imports.append(_open_import(sighting.node.args[0], sighting))
            elif function in _MODULE_LISTS:
                open_imports.append(OpenImport("", sighting.node.lineno, sighting.unit))
        pretrained += _pretrained(scan, sighting, functions)

    for place in [*scan.names, *scan.calls]:
        if place.flags & TYPE_CHECKING:
            continue
        is_called = id(place.node) in called
        for name in scan.resolve(place.node, place.scope):
            if name.startswith(".") or (name.startswith("builtins.") and not is_called):
                continue
            key = (name, place.node.lineno, is_called)
            uses.setdefault(key, Use(name, place.node.lineno, place.unit, is_called))
    return LibraryUses(
        tuple(sorted(imports, key=lambda item: item.line)),
        tuple(open_imports),
        tuple(uses.values()),
        tuple(pretrained),
    )


def _statement(sighting: Sighting[ast.Import | ast.ImportFrom]) -> list[Import]:
    node = sighting.node
    if isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        return [_found(sighting, node.module or "", names, node.level)]
    return [_found(sighting, alias.name) for alias in node.names]


def _called_import(module: str, sighting: Sighting[ast.Call]) -> Import:
    level = len(module) - len(module.lstrip("."))
    return _found(sighting, module[level:], level=level)


def _found(
    sighting: Sighting[ast.Import | ast.ImportFrom] | Sighting[ast.Call],
    module: str,
    names: tuple[str, ...] = (),
    level: int = 0,
) -> Import:
    return Import(
        module,
        names,
        level,
        sighting.node.lineno,
        sighting.unit,
        guarded=bool(sighting.flags & IMPORT_GUARD),
        by_call=isinstance(sighting.node, ast.Call),
        conditional=bool(sighting.flags & CONDITIONAL),
    )


def _open_import(argument: ast.expr, sighting: Sighting[ast.Call]) -> OpenImport:
    """`f"recipes.{name}"` and `"recipes." + name` at least say the package."""
    first: ast.expr | None = None
    if isinstance(argument, ast.JoinedStr) and argument.values:
        first = argument.values[0]
    elif isinstance(argument, ast.BinOp) and isinstance(argument.op, (ast.Add, ast.Mod)):
        first = argument.left
    text = first.value if isinstance(first, ast.Constant) else ""
    package = text.partition("%")[0].rpartition(".")[0] if isinstance(text, str) else ""
    return OpenImport(package, sighting.node.lineno, sighting.unit)


def _pretrained(
    scan: Scan, sighting: Sighting[ast.Call], functions: tuple[str, ...]
) -> list[PretrainedUse]:
    """`pretrained=True`, `weights="DEFAULT"`, `weights=ResNet18_Weights.IMAGENET1K_V1`.

    The function has to be a library's that offers such weights, whatever way a name is read that
    has several: a student's own loader has parameters of these names as well.
    """
    found = []
    for keyword in sighting.node.keywords:
        value = keyword.value
        constant = scan.constant(value, sighting.scope)
        text, names = "", functions
        if keyword.arg in ("pretrained", "pretrained_backbone"):
            if constant is not None and constant.value is True and _are_packages(functions):
                text = f"{keyword.arg}=True"
        elif keyword.arg in ("weights", "weights_backbone", "encoder_weights"):
            if constant is not None:
                choice = constant.value
                is_file = isinstance(choice, str) and choice.endswith(_WEIGHT_FILES)
                if isinstance(choice, str) and not is_file and _offer_models(functions):
                    text = f'{keyword.arg}="{choice}"'
            elif isinstance(value, ast.Attribute):
                # These weights are published ones whoever is handed them.
                names = scan.resolve(value, sighting.scope)
                if _offer_models(names) and any("Weights" in name for name in names):
                    text = f"{keyword.arg}={ast.unparse(value)}"
        if text:
            found.append(PretrainedUse(text, keyword.value.lineno, sighting.unit, names))
    return found


def _are_packages(names: tuple[str, ...]) -> bool:
    return bool(names) and all(name.partition(".")[0] in KNOWN_PACKAGES for name in names)


def _offer_models(names: tuple[str, ...]) -> bool:
    return bool(names) and all(
        any(name.startswith(f"{library}.") for library in _MODEL_LIBRARIES) for name in names
    )
