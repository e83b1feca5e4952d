"""Take wrappers and prefixes off what a checkpoint holds until the network's weights are left.

Students save a bare `state_dict`, `{"model_state_dict": …, "epoch": 9}`, a Lightning checkpoint,
a list of parameters, a whole module, and any of these inside a `DataParallel` or a compiled module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch

from .restricted_pickle import Inert, RefusedTensor, TensorRecord, module_state, walk_module

# Keys under which the weights are looked for first, best first.
_USUAL_KEYS = (
    "model_state_dict",
    "state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "model_weights",
    "weights",
    "params",
)
# Training state that also holds tensors of the weights' shapes.
_NOT_WEIGHTS = re.compile(r"optim|sched|scaler|callbacks|loops|momentum|exp_avg", re.IGNORECASE)
_MAX_DEPTH = 6
_MAX_NODES = 20_000
_MAX_TEXT = 200
# Metadata: values under one key, and all together.
_MAX_ENTRIES = 2_000
_MAX_VALUES = 10_000


@dataclass
class FoundWeights:
    """The network's tensors in the order of the checkpoint, nothing checked yet.

    `wrapper`: the keys that led to them, "" for a bare state_dict; `prefix`: what was taken off
    every name; `dropped`: names of tensors beside them; `classes`: module path → class name, known
    for whole modules only.
    """

    tensors: dict[str, Any]
    wrapper: str
    prefix: str
    dropped: list[str]
    classes: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def whole_module(self) -> bool:
        return bool(self.classes)


@dataclass
class _Candidate:
    path: tuple[str, ...]
    tensors: dict[str, Any]
    classes: dict[str, str]

    @property
    def weights(self) -> int:
        """Tensors of two and more dimensions: the convolutions and the head."""
        return sum(_rank(tensor) >= 2 for tensor in self.tensors.values())


def is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor | TensorRecord | RefusedTensor)


def _rank(tensor: Any) -> int:
    if isinstance(tensor, torch.Tensor):
        return tensor.dim()
    size = getattr(tensor, "size", ())
    return len(size) if isinstance(size, tuple | list) else 0


def find_weights(value: Any) -> FoundWeights | None:
    """The weights inside whatever was unpickled, or None when it holds no tensors.

    Of several candidates the usual key wins, then the one with most weights, then the first.
    """
    candidates = [found for found in _candidates(value) if found.tensors]
    if not candidates:
        return None
    usable = [found for found in candidates if not _is_training_state(found.path)] or candidates
    most = max(found.weights for found in usable)
    # `max` and `min` take the first of equals, and the outermost container comes first.
    chosen = min(
        (found for found in usable if 2 * found.weights >= most),
        key=lambda found: (_usual_rank(found), -found.weights, -len(found.tensors)),
    )
    together = _joined(usable)
    if together is not None and chosen.weights <= 2 < together.weights:
        # A tree of dictionaries, one per layer, rather than one flat dictionary.
        chosen, usable = together, [together]
    tensors, classes, prefix, beside = _without_prefix(chosen.tensors, chosen.classes)
    others = [
        ".".join((*found.path, name))
        for found in candidates
        if found is not chosen and found in usable
        for name in found.tensors
    ]
    return FoundWeights(
        tensors=tensors,
        wrapper=".".join(chosen.path),
        prefix=prefix,
        dropped=beside + others,
        classes=classes,
        metadata=_metadata(value),
    )


def _usual_rank(candidate: _Candidate) -> int:
    """0 for the best place."""
    if not candidate.path:
        return 0
    last = candidate.path[-1].lower()
    return _USUAL_KEYS.index(last) if last in _USUAL_KEYS else len(_USUAL_KEYS)


def _is_training_state(path: Sequence[str]) -> bool:
    return any(_NOT_WEIGHTS.search(part) for part in path)


def _contents(value: Any) -> Mapping[Any, Any] | None:
    """What a container holds by key; lists and tuples by position."""
    if isinstance(value, dict):
        # A pickle may have given an OrderedDict an attribute `items` of its own.
        return dict(dict.items(value))
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, Inert):
        held = value.__dict__
        state = held.get("state")
        contents = dict(held.get("entries", {}))
        if isinstance(state, dict):
            contents.update(state)
        contents.update(enumerate(held.get("elements", [])))
        return contents
    return None


def _candidates(value: Any) -> Iterator[_Candidate]:
    """Every container that holds tensors, outermost first."""
    queue: list[tuple[tuple[str, ...], Any]] = [((), value)]
    seen: set[int] = set()
    while queue and len(seen) < _MAX_NODES:
        path, node = queue.pop(0)
        if id(node) in seen or len(path) > _MAX_DEPTH:
            continue
        seen.add(id(node))
        if module_state(node) is not None:
            yield _of_module(path, node)
            continue
        if isinstance(node, torch.nn.Module):
            continue  # weights_only never makes one
        contents = _contents(node)
        if contents is None:
            continue
        # A parameter that is shared under two names is in the list twice, as in a state_dict.
        yield _Candidate(
            path, {_text(key): held for key, held in contents.items() if is_tensor(held)}, {}
        )
        queue += [
            ((*path, _text(key)), held)
            for key, held in contents.items()
            if isinstance(held, dict | list | tuple | Inert)
        ]


def _text(key: Any) -> str:
    return str(key)[:_MAX_TEXT] if isinstance(key, str | int) else type(key).__name__


def _of_module(path: tuple[str, ...], node: Inert) -> _Candidate:
    tensors: dict[str, Any] = {}
    classes: dict[str, str] = {}
    for name, tensor, class_name in walk_module(node):
        if tensor is None:
            classes[name[:_MAX_TEXT]] = class_name[:_MAX_TEXT]
        elif is_tensor(tensor):
            tensors[name[:_MAX_TEXT]] = tensor
        if len(tensors) + len(classes) > _MAX_NODES:
            break
    return _Candidate(path, tensors, classes)


def _joined(candidates: Sequence[_Candidate]) -> _Candidate | None:
    """All candidates as one, named by their paths, when no module is among them."""
    if any(candidate.classes for candidate in candidates):
        return None
    joined = {
        ".".join((*candidate.path, name)): tensor
        for candidate in candidates
        for name, tensor in candidate.tensors.items()
    }
    return _Candidate((), joined, {})


def _without_prefix(
    tensors: dict[str, Any], classes: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str], str, list[str]]:
    """Take off the folders that all weights share: `module.`, `_orig_mod.`, `model.`, …

    A tensor outside of them (a loss's class weights, a metric's counters) is left out and named.
    """
    taken = ""
    beside: list[str] = []
    while True:
        first = {
            name.partition(".")[0] if "." in name else None
            for name, tensor in tensors.items()
            if _rank(tensor) >= 2
        }
        weights = sum(_rank(tensor) >= 2 for tensor in tensors.values())
        if len(first) != 1 or weights < 2 or None in first:
            return tensors, classes, taken, beside
        prefix = f"{first.pop()}."
        beside += [taken + name for name in tensors if not name.startswith(prefix)]
        tensors = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        classes = {
            f"{name}.".removeprefix(prefix).removesuffix("."): class_name
            for name, class_name in classes.items()
            if f"{name}.".startswith(prefix)
        }
        taken += prefix


# --------------------------------------------------------------------------- metadata


def _metadata(value: Any) -> dict[str, Any]:
    """Small plain values beside the weights: epoch, accuracy, class names, hyperparameters."""
    contents = _contents(value)
    if contents is None or module_state(value) is not None:
        return {}
    left = _MAX_VALUES
    metadata: dict[str, Any] = {}
    for key, held in contents.items():
        budget = [min(left, _MAX_ENTRIES)]
        before = budget[0]
        kept = _plain(held, budget, 3)
        left -= before - max(budget[0], 0)
        if kept is not None and kept not in ({}, []):
            metadata[_text(key)] = kept
        if left <= 0:
            break
    return metadata


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    """`value` as JSON knows it, cut where it gets long; None for what has no such form."""
    budget[0] -= 1
    kept: Any = None
    if budget[0] < 0 or is_tensor(value):
        return None
    if isinstance(value, str):
        kept = value[:_MAX_TEXT]
    elif isinstance(value, bool | int | float):
        kept = value if -1e15 < value < 1e15 else None
    elif depth and isinstance(value, list | tuple):
        plain = (_plain(element, budget, depth - 1) for element in value[:_MAX_ENTRIES])
        kept = [element for element in plain if element is not None]
    elif depth and module_state(value) is None:
        contents = _contents(value)
        if contents is not None:
            pairs = islice(contents.items(), _MAX_ENTRIES)
            named = ((_text(key), _plain(held, budget, depth - 1)) for key, held in pairs)
            kept = {key: held for key, held in named if held is not None}
    return kept
