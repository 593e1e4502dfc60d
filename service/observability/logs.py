"""Log lines for people (text) or machines (one JSON object a line); each says which request and job it is about."""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal, TextIO

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message", "about"}
_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))
QUIET = ("ganymede.requests", "ganymede.ended")  # one line a request or job: for machines
FORMS = "python_multipart"
"""Warns of each form that it cannot read. The answer says so; a log shall not fill with what strangers send."""


@contextmanager
def about(**ids: str | None) -> Iterator[None]:
    """What is logged inside, by this task and what it awaits, carries these ids (`request_id`, `job_id`)."""
    token = _ABOUT.set({**_ABOUT.get(), **{name: value for name, value in ids.items() if value}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def about_job(job_id: str) -> AbstractContextManager[None]:
    """The ids of a job, or of a part of one (`<id>.<number>`)."""
    head, _, part = job_id.partition(".")
    return about(job_id=head, part=part)


def learn(**ids: str) -> None:
    """Add ids that became known on the way, until the surrounding `about` ends."""
    _ABOUT.set({**_ABOUT.get(), **ids})


class IdsFilter(logging.Filter):
    """Puts the ids into every record that does not bring its own, and their text into `about`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets the record pass."""
        found = {name: record.__dict__.setdefault(name, value) for name, value in _ABOUT.get().items()}
        record.about = "".join(f" [{name.removesuffix('_id')} {value}]" for name, value in found.items())
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, ids and whatever `extra` carried."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({k: v for k, v in record.__dict__.items() if k not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at that moment: while a bar is shown, lines go above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self.stream = sys.stderr
        super().emit(record)


def configure(log_format: Literal["text", "json"], level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Logs go to stderr, or to `stream`; ended requests and jobs are logged at INFO only in the JSON format, for machines."""
    handler = StderrHandler() if stream is None else logging.StreamHandler(stream)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s%(about)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    handler.addFilter(IdsFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger(FORMS).setLevel(logging.ERROR)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING if log_format == "text" else logging.NOTSET)
