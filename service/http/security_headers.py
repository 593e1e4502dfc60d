"""Headers that every answer has, and how headers travel below ASGI."""

CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_SECURITY_RAW = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
RawHeaders = list[tuple[bytes, bytes]]


def lines_of(headers: RawHeaders) -> bytes:
    """Headers as they travel."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


SECURITY_LINES = lines_of(_SECURITY_RAW)


def with_security(headers: RawHeaders, request_id: str) -> RawHeaders:
    """The headers of an answer with its request id, and the security headers it does not set itself."""
    names = {name for name, _ in headers}
    own = [(name, value) for name, value in headers if name != b"x-request-id"]
    missing = [pair for pair in _SECURITY_RAW if pair[0] not in names]
    return [*own, (b"x-request-id", request_id.encode()), *missing]
