"""The exception tree. Every exception that leaves a public function of `grader` is one of these.

    GraderError                 anything the command line turns into a message and an exit code
    ├── UsageError              the person who typed the command can mend it (exit code 2)
    │   ├── DefinitionError     an assignment definition is wrong; carries file and line
    │   └── TruthError          images, masks or labels of the course are missing or unreadable
    └── InternalFault           the grader's own fault, never a student's (exit code 3)
        └── SandboxError        no back end works here, or the sandbox itself broke

A student's fault is never an exception: it is a `Finding` (see `grader.findings`) and the
pipeline goes on with what can still be graded.
"""

from __future__ import annotations

from pathlib import Path


class GraderError(Exception):
    """Base of all: a message for a person and a hint that says what to do next."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GraderError):
    """The command, or a file named on it, cannot be used as given."""

    exit_code = 2


class DefinitionError(UsageError):
    """An assignment definition is wrong: `path` and, where it is known, `line` say where."""

    def __init__(
        self, message: str, *, path: Path, line: int | None = None, hint: str = ""
    ) -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {message}", hint=hint)
        self.path = path
        self.line = line


class TruthError(UsageError):
    """The course's own images, masks or labels are missing, unreadable or contradict each other."""


class InternalFault(GraderError):
    """The grader failed; the student loses nothing and the run can be repeated."""

    exit_code = 3


class SandboxError(InternalFault):
    """No sandbox back end works on this machine, or the sandbox itself broke."""
