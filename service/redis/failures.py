"""What Redis errors mean to us: away for a moment, or full. Everything else is a defect and stays an error."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    ConnectionError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from service.errors import StorageFullError, UnavailableError

AWAY = (ConnectionError, TimeoutError, ReadOnlyError, OSError)
"""Loading its log and having no connection left are kinds of ConnectionError."""
FULL = ("when used memory >", "MISCONF")
"""What a refused write says: memory, disk."""


def is_full(error: ResponseError) -> bool:
    """Whether Redis refused a write because memory (`OOM`) or the disk under its log (`MISCONF`) is full."""
    return any(words in str(error) for words in FULL)


@contextmanager
def as_service_errors() -> Iterator[None]:
    """Turn Redis trouble into refusals a client understands: 507 when full, 503 while away."""
    try:
        yield
    except AWAY as error:
        raise UnavailableError("the store is away; try again", headers={"Retry-After": "1"}) from error
    except ResponseError as error:
        if not is_full(error):
            raise
        raise StorageFullError("the store is full; nothing was accepted, nothing that was accepted is lost") from error
