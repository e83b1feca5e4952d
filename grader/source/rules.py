"""What an assignment allows its students' code to do: the table `[source_rules]` of a definition.

    [source_rules]
    python = "3.11"                     # syntax is held against this version (default: 3.11)
    pretrained_weights = false          # true where the assignment fine-tunes given weights
    allowed_imports = ["torch", "torchvision.transforms", "numpy", "cv2"]
    forbidden_imports = ["timm", { module = "torchvision.models", why = "write it yourself" }]
    forbidden_calls = [
      "os.system",                      # exactly this function
      { call = "subprocess.*", kind = "subprocess" },   # everything below it
      { call = "urllib.request.*", kind = "network", why = "there is no network" },
      { call = "eval" },                # a built-in, unless the student defines their own
    ]

- `allowed_imports`: modules beside the standard library, which is always allowed. An entry allows
  what is below it; the packages above it may be imported too (`import torchvision`), but nothing
  else of them. Left out: every import is allowed.
- `forbidden_imports` wins over `allowed_imports`, covers what is below it, and the standard
  library as well.
- `kind` is "rule" (the default), "network" or "subprocess", and picks the finding's code;
  `why` is shown to the student.
- Each array may equally be written as `[[source_rules.forbidden_calls]]` tables.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

KINDS = ("rule", "network", "subprocess")
_OLDEST_PYTHON = (3, 8)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_CALL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\.?\*)?")
# Standard modules that left in 3.12 and 3.13: standard on a course's older Python.
_LEFT = (
    "asynchat asyncore distutils imp smtpd aifc audioop cgi cgitb chunk crypt imghdr mailcap "
    "msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib"
)
STANDARD_LIBRARY = frozenset(sys.stdlib_module_names).union(_LEFT.split())
# Installed with another package, and used only together with it.
_COMES_WITH = {"mpl_toolkits": "matplotlib", "pylab": "matplotlib", "torchgen": "torch"}


class Rule(NamedTuple):
    """One forbidden module or call: `name` is dotted; `below`: everything that starts with it."""

    name: str
    below: bool
    kind: str
    why: str

    def covers(self, name: str) -> bool:
        return name == self.name or (self.below and name.startswith(self.name))


class SourceRules(NamedTuple):
    """The table, validated. `allowed` is None where every import is allowed."""

    python: tuple[int, int]
    pretrained_weights: bool
    allowed: frozenset[str] | None
    forbidden_imports: tuple[Rule, ...]
    forbidden_calls: tuple[Rule, ...]

    def allows(self, module: str) -> bool:
        """Whether the dotted `module` is standard, allowed, below or above what is allowed."""
        parts = module.split(".")
        parts[0] = _COMES_WITH.get(parts[0], parts[0])
        if self.allowed is None or parts[0] in STANDARD_LIBRARY:
            return True
        if any(".".join(parts[:length]) in self.allowed for length in range(1, len(parts) + 1)):
            return True
        return any(entry.startswith(f"{module}.") for entry in self.allowed)

    def forbidding(self, module: str) -> Rule | None:
        """The rule against importing `module`."""
        return next((rule for rule in self.forbidden_imports if _is_in(module, rule.name)), None)

    def forbidding_call(self, function: str) -> Rule | None:
        """The rule against calling the dotted `function` (`builtins.eval` for a built-in)."""
        return next((rule for rule in self.forbidden_calls if rule.covers(function)), None)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def parse_source_rules(table: Mapping[str, Any]) -> SourceRules:
    """Validate the table (see the module's docstring). Raises ValueError with the key's path."""
    known = {
        "python",
        "pretrained_weights",
        "allowed_imports",
        "forbidden_imports",
        "forbidden_calls",
    }
    for key in table:
        if key not in known:
            raise ValueError(f"source_rules.{key}: unknown key; known: {', '.join(sorted(known))}")
    pretrained = _typed(table, "pretrained_weights", bool, False, "has to be true or false")
    allowed = None
    if "allowed_imports" in table:
        allowed = frozenset(
            _text(item, f"source_rules.allowed_imports[{index}]", _MODULE, "a module's name")
            for index, item in enumerate(_array(table, "allowed_imports"))
        )
    return SourceRules(
        python=_python(table.get("python", "3.11")),
        pretrained_weights=pretrained,
        allowed=allowed,
        forbidden_imports=tuple(
            _rule(item, f"source_rules.forbidden_imports[{index}]", "module", _MODULE)
            for index, item in enumerate(_array(table, "forbidden_imports"))
        ),
        forbidden_calls=tuple(
            _rule(item, f"source_rules.forbidden_calls[{index}]", "call", _CALL)
            for index, item in enumerate(_array(table, "forbidden_calls"))
        ),
    )


def _python(value: object) -> tuple[int, int]:
    match = re.fullmatch(r"(3)\.(\d{1,2})", value) if isinstance(value, str) else None
    if match is None or (version := (int(match[1]), int(match[2]))) < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        raise ValueError(f'source_rules.python: has to be like "3.11", at least "{oldest}"')
    return version


def _typed(
    table: Mapping[str, Any], key: str, kind: type[T], default: T, wanted: str, where: str = ""
) -> T:
    """`table[key]`, which has to be a `kind`. One exception for all faults: ValueError."""
    value = table.get(key, default)
    if isinstance(value, kind):
        return value
    raise ValueError(f"{where or 'source_rules'}.{key}: {wanted}")


def _array(table: Mapping[str, Any], key: str) -> list[object]:
    return _typed(table, key, list, [], "has to be an array")


def _text(value: object, where: str, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{where}: {value!r} is not {what}")
    return value


def _rule(item: object, where: str, key: str, pattern: re.Pattern[str]) -> Rule:
    table = {key: item} if isinstance(item, str) else item
    if not isinstance(table, dict) or key not in table:
        raise ValueError(f"{where}: has to be a string or a table with the key {key!r}")
    for other in table:
        if other not in (key, "kind", "why"):
            raise ValueError(f"{where}.{other}: unknown key; known: {key}, kind, why")
    what = "a module's name" if key == "module" else 'a dotted name, or one ending in "*"'
    name = _text(table[key], f"{where}.{key}", pattern, what)
    kind = table.get("kind", "rule")
    if kind not in KINDS:
        raise ValueError(f"{where}.kind: {kind!r} is not one of {', '.join(KINDS)}")
    why = _typed(table, "why", str, "", "has to be a string", where)
    below = name.endswith("*")
    name = name.removesuffix("*")
    if key == "call" and "." not in name:
        name = f"builtins.{name}"
    return Rule(name, below, kind, why)
