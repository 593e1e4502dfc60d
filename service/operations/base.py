"""What every operation is given: the running state, who asks, until when, and where to report."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from models.errors import ModelsError
from service.engine.engine import Terms
from service.errors import InvalidValueError
from service.jobs.attempts import Emit
from service.operations.results import Result
from service.operations.state import State

Attachments = Mapping[str, bytes]
Part = tuple[int, int]  # pictures start … stop-1 of a request
T = TypeVar("T")


async def silent(event: str, data: dict[str, Any]) -> None:
    """An Emit that nobody listens to."""


@dataclass(frozen=True)
class Context:
    """One call of an operation. `deadline` is a time.monotonic(); events: progress, level, frame, log.

    Bytes in an event, such as a PNG, reach who listens as base64.

    `part`: only these pictures of the request are to be computed; other workers compute the others (`parts.py`).
    """

    state: State
    caller: str = ""
    deadline: float | None = None
    emit: Emit = silent
    bulk: bool = False
    request_id: str = ""
    part: Part | None = None

    @property
    def first(self) -> int:
        """Number of the first picture that this call computes."""
        return 0 if self.part is None else self.part[0]

    def mine(self, pictures: Sequence[T]) -> Sequence[T]:
        """What this call computes of everything that the request asks for."""
        return pictures if self.part is None else pictures[slice(*self.part)]

    def terms(self) -> Terms:
        """Who asks, until when and whether others go first, as the engine is told."""
        return {"caller": self.caller, "deadline": self.deadline, "bulk": self.bulk}

    def left_s(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def unix_deadline(self) -> float | None:
        """The deadline as a job carries it to other machines, in Unix seconds; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic() + time.time()


@dataclass(frozen=True)
class Operation:
    """A row of the operations table. `cost` estimates the pictures a request computes, for admission and auto-jobs.

    `pictures`: how many a request makes that can be made apart from each other; 1 for one that is not split. An operation
    that splits takes `context.mine` of its list, and everything else in its result is the same for every part.
    """

    name: str
    request: type[BaseModel]
    run: Callable[[Context, Any, Attachments], Awaitable[Result]]
    cost: Callable[[Any], int]
    # what a repeated attempt must not decide anew, such as a random seed
    pin: Callable[[Any], Any] = lambda request: request
    pictures: Callable[[Any], int] = lambda request: 1


async def perform(operation: Operation, context: Context, body: BaseModel, attachments: Attachments) -> Result:
    """The operation's work, at once or in a job. What a bundle or a runtime refuses is the request's fault: InvalidValueError."""
    try:
        return await operation.run(context, body, attachments)
    except ModelsError as error:
        raise InvalidValueError(str(error)) from error
