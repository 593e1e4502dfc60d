"""Every refusal the service makes on purpose. Knows no framework; each class carries its HTTP status.

ServiceError
├── MalformedError 400          UnauthorizedError 401      ForbiddenError 403
├── NotFoundError 404           NotAcceptableError 406     ConflictError 409
├── GoneError 410               TooLargeError 413          UnsupportedPictureError 415
├── MisdirectedError 421        CrossSiteError 403       UnsupportedEncodingError 415
├── InvalidValueError 422       OverloadedError 429        ClientClosedError 499
├── NotInstalledError 501       UnavailableError 503       DeadlineError 504
└── StorageFullError 507
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

UNFORESEEN = "something went wrong on our side; the log has the request id"
"""What a caller is told of a failure that nobody foresaw; the traceback is the log's."""


class ServiceError(Exception):
    """Root of the tree. `detail` is a sentence for the caller. `pointer` says where in the request, as a JSON pointer,
    and `hint` what is wrong there, if that is not the whole detail; `errors` are several such places.

    `reason` names a refusal in the metrics; None for what is the request's own fault and for failures.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    slug: ClassVar[str] = "internal"
    reason: str | None = None

    def __init__(
        self,
        detail: str,
        *,
        pointer: str | None = None,
        hint: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        places = errors if pointer is None else [{"detail": hint or detail, "pointer": pointer}]
        self.errors = [{"detail": detail, **place} for place in places]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def problem(self, instance: str) -> dict[str, Any]:
        """The RFC 9457 object of this error."""
        body: dict[str, Any] = {
            "type": f"urn:ganymede:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            body["errors"] = self.errors
        return {**self.extra, **body}


class MalformedError(ServiceError):
    """The request cannot be read at all: broken JSON, a bad header."""

    status, title, slug = 400, "Malformed request", "malformed"


class UnauthorizedError(ServiceError):
    """No API key, or an unknown one."""

    status, title, slug = 401, "API key needed", "unauthorized"
    reason = "key"


class ForbiddenError(ServiceError):
    """The key is known but its scopes do not cover this."""

    status, title, slug = 403, "Not allowed", "forbidden"
    reason = "scope"


class CrossSiteError(ServiceError):
    """A browser sent it for a page of another origin, which is not named."""

    status, title, slug = 403, "Sent by another site", "cross-site"
    reason = "origin"


class NotFoundError(ServiceError):
    """No such model, latent, job or page."""

    status, title, slug = 404, "Not found", "not-found"


class NotAcceptableError(ServiceError):
    """None of the media types asked for can be made."""

    status, title, slug = 406, "Not acceptable", "not-acceptable"


class ConflictError(ServiceError):
    """The name is taken, or the thing changed meanwhile."""

    status, title, slug = 409, "Conflict", "conflict"


class GoneError(ServiceError):
    """It existed and has expired."""

    status, title, slug = 410, "Gone", "gone"


class TooLargeError(ServiceError):
    """More bytes, pixels or pictures than the limits allow."""

    status, title, slug = 413, "Too large", "too-large"
    reason = "size"


class UnsupportedPictureError(ServiceError):
    """The body is not a picture this server reads."""

    status, title, slug = 415, "Unsupported media type", "unsupported"


class UnsupportedEncodingError(ServiceError):
    """The body is compressed in a way this server does not read."""

    status, title, slug = 415, "Unsupported content encoding", "unsupported"


class MisdirectedError(ServiceError):
    """The request is for a host that is not this server (RFC 9110, section 15.5.20)."""

    status, title, slug = 421, "Misdirected request", "misdirected"
    reason = "host"


class InvalidValueError(ServiceError):
    """A field has a value that makes no sense; `errors` says which."""

    status, title, slug = 422, "Invalid value", "invalid-value"


class OverloadedError(ServiceError):
    """The queue or a quota is full; always with a truthful Retry-After."""

    status, title, slug = 429, "Too many requests", "overloaded"

    def __init__(self, detail: str, *, retry_after_s: float, reason: str = "queue") -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, round(retry_after_s + 0.5)))})
        self.reason = reason


class ClientClosedError(ServiceError):
    """The client hung up; nobody reads this."""

    status, title, slug = 499, "Client closed request", "client-closed"


class NotInstalledError(ServiceError):
    """The operation needs a library this installation does not have."""

    status, title, slug = 501, "Not installed", "not-installed"


class UnavailableError(ServiceError):
    """Loading, draining, or the store is away."""

    status, title, slug = 503, "Unavailable", "unavailable"
    reason = "unavailable"


class DeadlineError(ServiceError):
    """The caller's deadline passed before the answer was there."""

    status, title, slug = 504, "Deadline passed", "deadline"
    reason = "deadline"


class StorageFullError(ServiceError):
    """Disk or Redis memory is full; nothing that was accepted is lost."""

    status, title, slug = 507, "Storage full", "storage-full"
    reason = "storage"
