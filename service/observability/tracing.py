"""What is traced: requests, waiting, batches, encoding. Off, and nothing imported, unless a collector is named.

This file is the seam, and traces nothing; `open_telemetry` fills it, and `start_tracing` chooses between the two.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

Trace = Any  # where in which trace something belongs; opaque to everybody else
Arrival = tuple[Trace, float | None]


class TracedRequest:
    """A request being traced."""

    def answered(self, route: str, status: int) -> None:
        """How it ended."""


_REQUEST = nullcontext(TracedRequest())
_SPAN = nullcontext()


class Tracing:
    """Traces nothing. `open_telemetry.OpenTelemetry` does."""

    is_on = False

    def request(self, method: str, path: str, traceparent: str) -> AbstractContextManager[TracedRequest]:
        """A request from its first byte to its last; continues the caller's trace when `traceparent` is valid."""
        return _REQUEST

    def job(
        self, op: str, job_id: str, attempt: int, traceparent: str, created_at: float
    ) -> AbstractContextManager[None]:
        """One attempt of a job, in the trace of the request that made it, and how long it had waited (Unix seconds)."""
        return _SPAN

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[None]:
        """A step of whatever is being traced here."""
        return _SPAN

    def batch(self, model: str, level: int, pictures: int, began: float, arrivals: Sequence[Arrival]) -> None:
        """A batch that has just been computed since `began`, linked to the requests whose pictures it holds.

        `arrivals`: where each request belongs and since when it waited. All times are time.monotonic().
        """

    def here(self) -> Trace:
        """Where this task is, to be handed to a thread."""
        return None

    def traceparent(self) -> str | None:
        """Where this task is, as a W3C header, to be handed to another process."""
        return None

    def close(self) -> None:
        """Send what is left."""
