"""uvicorn's HTTP protocol, with what it does not say by itself; every attribute of it that is used stands here."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import MalformedError
from service.http.last_words import last_words


class UvicornProtocol(HttpToolsProtocol):
    """Sends no `100 Continue` to HTTP/1.0, knows whose turn it is, and refuses in problem+json."""

    @property
    def awaits_client(self) -> bool:
        """Whether the next thing is up to the client: a request has not begun, or not arrived whole."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def on_headers_complete(self) -> None:
        """Called by the parser. RFC 9110, section 10.1.1: a client of HTTP/1.0 would take a 100 for the answer."""
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called for bytes that are no request; a problem like every other refusal."""
        self.transport.write(last_words(MalformedError(msg)))
        self.transport.close()
