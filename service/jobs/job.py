"""What a job is: its states, its record as clients see it, and what a worker is handed."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # waits for a worker, or for its next attempt
    RUNNING = "running"  # a worker has it, or has some of its chunks
    SUCCEEDED = "succeeded"  # its result is kept for a while
    FAILED = "failed"  # refused, or out of attempts (then it is on the dead-letter list)
    CANCELED = "canceled"  # somebody asked for it
    EXPIRED = "expired"  # its deadline passed before it was done


ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED})


@dataclass(frozen=True)
class Job:
    """The record of one job. Times are Unix seconds; only a worker is handed `payload`, `part` and `attachments`."""

    id: str
    op: str
    state: JobState
    caller: str = "anonymous"
    bulk: bool = False
    cost: int = 1
    attempts: int = 0
    model: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    deadline: float | None = None
    error: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    queue_position: int | None = None
    webhook: str | None = None
    request_id: str | None = None
    trace: str | None = None
    meta: str | None = None
    parent: str | None = None
    chunks: int = 0
    merging: bool = False
    dead: bool = False
    payload: bytes = b""
    part: bytes = b""
    attachments: dict[str, bytes] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in ENDED

    def public(self) -> dict[str, Any]:
        """The record as `GET /jobs/{id}` shows it, without `urls`, which only a route knows."""
        return {
            "id": self.id,
            "op": self.op,
            "state": self.state.value,
            "queue_position": self.queue_position,
            "progress": self.progress or {"done": 0, "total": self.cost, "unit": "picture"},
            "attempts": self.attempts,
            "model": self.model,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "error": self.error,
        }


def new_job_id() -> str:
    """A random id that sorts by time, so that equals in the queue keep their order: 12 hex digits of ms, 20 random."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


def created_at(job_id: str) -> float:
    """When an id was made, in Unix seconds."""
    return int(job_id[:12], 16) / 1000


def job_from_hash(job_id: str, record: Mapping[bytes, bytes], queue_position: int | None = None) -> Job:
    """The record in Redis as a Job. Unknown fields are ignored, so that an older process reads a newer one's jobs."""
    text = {name.decode(): value.decode() for name, value in record.items()}
    return Job(
        id=job_id,
        op=text["op"],
        state=JobState(text["state"]),
        caller=text.get("caller", "anonymous"),
        bulk=text.get("lane") == "bulk",
        cost=int(text.get("cost", "1")),
        attempts=int(text.get("attempts", "0")),
        model=text.get("model") or None,
        created_at=float(text.get("created", "0")),
        started_at=_number(text.get("started")),
        ended_at=_number(text.get("ended")),
        deadline=_number(text.get("deadline")),
        error=json.loads(text["error"]) if text.get("error") else None,
        progress=json.loads(text["progress"]) if text.get("progress") else None,
        queue_position=queue_position,
        webhook=text.get("webhook") or None,
        request_id=text.get("request_id") or None,
        trace=text.get("trace") or None,
        meta=text.get("meta") or None,
        parent=text.get("parent") or None,
        chunks=int(text.get("chunks", "0")),
        merging=text.get("merging") == "1",
        dead=text.get("dead") == "1",
    )


def _number(text: str | None) -> float | None:
    return float(text) if text else None
