"""What can go wrong, as a tree.

GanymedeError
├── TransportError      the server could not be reached, or hung up, and retries did not help
├── ServerError         the server answered with a problem; `status`, `detail`, `errors`, `request_id`
└── JobFailedError      a job ended without a result; `job` is its last record
"""

from typing import Any

import httpx


class GanymedeError(Exception):
    """Root of the client's errors."""


class TransportError(GanymedeError):
    """No answer."""


class ServerError(GanymedeError):
    """A problem+json answer (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any], request_id: str | None) -> None:
        self.status = status
        self.title: str = problem.get("title", "")
        self.detail: str = problem.get("detail", "")
        self.errors: list[dict[str, str]] = problem.get("errors", [])
        self.request_id = request_id
        super().__init__(f"{status} {self.title}: {self.detail}" + (f" (request {request_id})" if request_id else ""))


class JobFailedError(GanymedeError):
    """The job failed, was canceled or has expired."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        super().__init__(f"job {job.get('id')} {job.get('state')}: {_why(job.get('error') or {})}")


def _why(problem: dict[str, Any]) -> str:
    """A problem as one sentence."""
    known = (problem.get("title"), problem.get("detail"))
    return ": ".join(part for part in known if part) or "no result"


def raise_for(response: httpx.Response) -> httpx.Response:
    """The response itself, or ServerError for a status of 400 and above. The body must have been read."""
    if response.status_code < 400:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {"title": response.reason_phrase, "detail": response.text[:500]}
    raise ServerError(
        response.status_code, problem if isinstance(problem, dict) else {}, response.headers.get("x-request-id")
    )
