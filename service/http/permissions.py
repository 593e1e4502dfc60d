"""What the caller's API key allows here. Without a key file everything is allowed."""

from typing import Any

from starlette.requests import Request

from service.auth.keys import ApiKey
from service.errors import ForbiddenError, NotFoundError
from service.jobs.job import Job
from service.observability.logs import learn


def key_of(request: Request) -> ApiKey | None:
    """The key that the gate found; None when this server asks for none."""
    key: ApiKey | None = getattr(request.state, "api_key", None)
    return key


def need_scope(request: Request, scope: str) -> None:
    """Raises ForbiddenError when the key lacks a scope."""
    key = key_of(request)
    if key is not None and not key.allows(scope):
        raise ForbiddenError(f"API key {key.name!r} lacks the scope {scope!r}")


def check_keeping(request: Request, body: Any) -> None:
    """A request that saves a latent needs the scope for it, whatever its endpoint."""
    if getattr(body, "save_as", None) is not None:
        need_scope(request, "latents:write")


def check_owner(request: Request, job: Job) -> Job:
    """The job, if the caller may see it. Raises NotFoundError otherwise: whether it exists is nobody's business."""
    key = key_of(request)
    if key is not None and not key.is_admin and job.caller != key.name:
        raise NotFoundError(f"no job {job.id!r}")
    learn(job_id=job.id)
    return job


def visible_caller(request: Request) -> str | None:
    """Whose jobs the caller may list; None for all."""
    key = key_of(request)
    return None if key is None or key.is_admin else key.name
