"""Become a user that nobody is, the way the sandbox itself leaves root."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.sandbox.interpreter import find_interpreter
from grader.sandbox.launch import Entry
from grader.sandbox.privileges import find_covers

_ENTER = """
import marshal, os, sys
from grader.sandbox.inside.enter import enter
enter(marshal.loads(bytes.fromhex(sys.argv[1])), os.getppid())
"""


def as_other_user(
    user: int, argv: Sequence[str], env: Mapping[str, str], needed: Sequence[Path]
) -> list[str]:
    """The command that root gives to run `argv` as `user`, to whom closed folders above the
    interpreter and above what is `needed` are opened in a mount namespace of its own."""
    folders = [*find_interpreter().folders, Path(sys.prefix), *needed]
    order = Entry(
        uid=user, covers=find_covers(folders), argv=list(argv), env=dict(env), inherits=[]
    )
    return [sys.executable, "-I", "-c", _ENTER, marshal.dumps(dict(order)).hex()]
