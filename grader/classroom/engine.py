"""What runs gradings somewhere, as the run of a class sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from grader.classroom.orders import Failed, Graded, Order


@dataclass(frozen=True, slots=True)
class AtStage:
    """A submission has come to a stage of its grading, told in words."""

    key: str
    stage: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt has ended, well or through a fault that is not the student's."""

    worker: str
    outcome: Graded | Failed


Event = AtStage | Ended


class Engine(Protocol):
    """Workers that grade one submission in each of their slots."""

    def slots(self) -> int:
        """How many submissions can be graded at the same time at this moment."""

    def idle(self) -> Sequence[str]:
        """The workers with a free slot; one of two free slots is named twice."""

    def start(self, worker: str, order: Order) -> None:
        """Let a worker grade a submission. It ends in one `Ended`, also when the worker dies."""

    def wait(self, seconds: float, freed: Callable[[], None], /) -> Sequence[Event]:
        """What has happened since; at most `seconds` pass until it returns, possibly nothing.

        `freed` may be called as soon as workers are known to be idle, before what they have done is
        fetched: whoever hands out then does not let them wait.

        Raises UsageError when nobody is there any more to ask.
        """
