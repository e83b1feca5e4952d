"""Read the traceback that a student's program left on stderr."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

# The end of stderr holds the traceback; what a program printed before is of no interest here.
_TAIL_CHARACTERS = 64 * 1024
_LONGEST_MESSAGE = 4000

_HEADER = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s*File "([^"\n]{1,4096})", line (\d{1,9})(?:, in ([^\n]{1,200}))?$')
_ERROR = re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:: (.*))?$")
_LIBRARIES = ("site-packages/", "dist-packages/", "/lib/python", "<frozen ", "<string>")


class Frame(NamedTuple):
    """One line of the call stack. `source` is the source line that Python printed."""

    file: str
    line: int
    function: str
    source: str


class Traceback(NamedTuple):
    """The last exception of a run. `exception` is its class without modules; `message` may have
    several lines."""

    frames: tuple[Frame, ...]
    exception: str
    message: str

    @property
    def text(self) -> str:
        """As Python prints its last line: `KeyError: 'fc.weight'`."""
        return f"{self.exception}: {self.message}" if self.message else self.exception

    def own_frame(self, files: Collection[str]) -> tuple[str, Frame] | None:
        """The last frame inside one of the submission's `files`, and which file that is."""
        for frame in reversed(self.frames):
            if any(part in frame.file for part in _LIBRARIES):
                continue
            matches = [
                path for path in files if frame.file == path or frame.file.endswith(f"/{path}")
            ]
            if matches:
                return max(matches, key=len), frame
        return None


def read_traceback(stderr: str) -> Traceback | None:
    """The last traceback in `stderr`, None when there is none.

    Of chained exceptions the last one ended the program; of an exception in a worker process the
    worker's own traceback is taken, because it names the line.
    """
    lines = stderr[-_TAIL_CHARACTERS:].splitlines()
    starts = [number for number, line in enumerate(lines) if line.endswith(_HEADER)]
    if starts:
        lines = lines[starts[-1] + 1 :]
    else:
        first = next((number for number, line in enumerate(lines) if _FRAME.match(line)), None)
        if first is None:
            return None
        lines = lines[first:]  # a SyntaxError is reported without the header
    frames: list[Frame] = []
    for number, line in enumerate(lines):
        match = _FRAME.match(line)
        if match:
            following = next(iter(lines[number + 1 : number + 2]), "")
            source = "" if _FRAME.match(following) else following.strip()
            frames.append(Frame(match[1], int(match[2]), match[3] or "", source))
        elif line[:1] not in ("", " ", "\t") and frames:
            error = _ERROR.match(line)
            if error:
                message = "\n".join([error[2] or "", *lines[number + 1 :]]).strip()
                exception = error[1].rpartition(".")[2]
                return Traceback(tuple(frames), exception, message[:_LONGEST_MESSAGE])
    return None
