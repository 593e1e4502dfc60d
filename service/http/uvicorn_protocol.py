"""uvicorn's HTTP protocol, with what it does not say by itself; every attribute of it that is used stands here."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import MalformedError
from service.http.problems import problem_bytes


class UvicornProtocol(HttpToolsProtocol):
    """Sends no `100 Continue` to HTTP/1.0, knows whose turn it is, hears the host of a target, refuses in problem+json."""

    @property
    def awaits_client(self) -> bool:
        """Whether the next thing is up to the client: a request has not begun, or not arrived whole."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def on_headers_complete(self) -> None:
        """Called by the parser. RFC 9110, section 10.1.1: a client of HTTP/1.0 would take a 100 for the answer."""
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False
        self._take_the_targets_host()
        super().on_headers_complete()

    def _take_the_targets_host(self) -> None:
        """RFC 9112, section 3.2.2: `GET http://here/path` names its host there, whatever its Host header says."""
        if self.url[:8].lower().startswith((b"http://", b"https://")):
            target = httptools.parse_url(self.url)
            host = b"[%s]" % target.host if b":" in target.host else target.host
            host = host if target.port is None else b"%s:%d" % (host, target.port)
            self.headers[:] = [(name, host if name == b"host" else value) for name, value in self.headers]

    def send_400_response(self, msg: str) -> None:
        """Called for bytes that are no request; a problem like every other refusal."""
        self.transport.write(problem_bytes(MalformedError(msg)))
        self.transport.close()
