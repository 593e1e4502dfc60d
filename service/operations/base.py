"""What every operation is given: the running state, who asks, until when, and where to report."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.operations.results import Result
from service.state import State

Emit = Callable[[str, dict[str, Any]], Awaitable[None]]
Attachments = Mapping[str, bytes]


async def silent(event: str, data: dict[str, Any]) -> None:
    """An Emit that nobody listens to."""


def same(request: Any) -> Any:
    """The request as it is."""
    return request


@dataclass(frozen=True)
class Context:
    """One call of an operation. `deadline` is a time.monotonic(); events: progress, level, frame, log."""

    state: State
    caller: str = ""
    deadline: float | None = None
    emit: Emit = silent
    bulk: bool = False
    request_id: str = ""

    def left_s(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()


@dataclass(frozen=True)
class Operation:
    """A row of the operations table. `cost` estimates the pictures a request computes, for admission and auto-jobs."""

    name: str
    request: type[BaseModel]
    run: Callable[[Context, Any, Attachments], Awaitable[Result]]
    cost: Callable[[Any], int]
    pin: Callable[[Any], Any] = same  # what a repeated attempt must not decide anew, such as a random seed
    split: Callable[[Any, int], list[Any]] | None = None  # into requests for at most so many pictures, in order
