"""Find a reader by the name that a definition gives it."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from grader.errors import UsageError
from grader.readers import READERS
from grader.readers.reading import Reader


def load_reader(name: str) -> Reader:
    """The reader registered as `name` in `grader.readers.READERS`.

    Raises UsageError that lists the known names when there is none.
    """
    if name not in READERS:
        raise UsageError(
            f"there is no reader {name!r}", hint=f"known readers: {', '.join(sorted(READERS))}"
        )
    module, _, attribute = READERS[name].partition(":")
    return cast(Reader, getattr(import_module(module), attribute))
