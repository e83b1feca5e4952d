"""Frozen dataclasses that cost little to define.

`@dataclass(frozen=True, slots=True)` compiles six methods for each class, and the grader has some
forty classes: that was a sixth of the time of `grader check`. Here only `__init__` is compiled;
the other methods are shared. What comes out is a dataclass: `fields`, `replace` and `asdict` work.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: _Class) -> _Class:
    """Make `cls` a frozen, slotted dataclass with `__eq__`, `__hash__` and `__repr__`."""
    for name, method in _SHARED.items():
        setattr(cls, name, method)
    made: Any = dataclass(slots=True, eq=False, repr=False)(cls)
    return made  # type: ignore[no-any-return]


def _eq(self: Any, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = (f"{name}={getattr(self, name)!r}" for name in _names(type(self)))
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, value: Any) -> None:
    # `__init__` writes each slot once; after that the object stays as it is
    if name not in _names(type(self)) or hasattr(self, name):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delattr(self: Any, name: str) -> None:  # noqa: ARG001 - the protocol's signature
    raise FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
}


def _names(cls: type) -> tuple[str, ...]:
    known = _NAMES.get(cls)
    if known is None:
        known = _NAMES[cls] = tuple(f.name for f in fields(cls))
    return known


_NAMES: dict[type, tuple[str, ...]] = {}


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in _names(type(self)))
