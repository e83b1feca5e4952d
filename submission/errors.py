"""The exceptions that the two programs turn into a message and an exit code."""

from __future__ import annotations


class SubmissionError(Exception):
    """Something the person who typed the command can mend: what was found, what to do next."""


class Stopped(Exception):
    """A run was asked to stop and has saved where it stands."""
