"""What a script accepts on its command line. Records only."""

from __future__ import annotations

from typing import NamedTuple

MANY = 1_000_000  # words: as many as one likes


class Option(NamedTuple):
    """`--name VALUE`, or a switch where `takes_value` is False."""

    flags: tuple[str, ...]
    required: bool
    takes_value: bool
    choices: tuple[str, ...] | None

    @property
    def name(self) -> str:
        return max(self.flags, key=len)


class Positional(NamedTuple):
    """An argument known by its place; `most` is how many words it may take."""

    name: str
    least: int
    most: int
    choices: tuple[str, ...] | None


class CommandLine(NamedTuple):
    """What a script accepts.

    `style`: "argparse", "optparse", "click", "argv", "none" (it never looks) or "unknown".
    `exact`: nothing in the source may change the picture at run time. `takes_rest`: words that
    it does not know are ignored.
    """

    style: str
    positionals: tuple[Positional, ...] = ()
    options: tuple[Option, ...] = ()
    exact: bool = True
    takes_rest: bool = False

    def describe(self) -> str:
        """In words, for a report: `takes --model_ckpt and --test_imgs`."""
        if self.style == "none":
            return "takes no arguments"
        if self.style == "unknown":
            return "takes its arguments in a way that the source does not show"
        names = [f"<{item.name}>" for item in self.positionals]
        names += [item.name for item in self.options if item.required]
        optional = [item.name for item in self.options if not item.required and item.takes_value]
        said = f"takes {' '.join(names)}" if names else "takes"
        return f"{said} {' '.join(f'[{name}]' for name in optional)}".strip()


UNKNOWN = CommandLine("unknown", exact=False)
