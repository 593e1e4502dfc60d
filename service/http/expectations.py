"""uvicorn's HTTP protocol, that sends no `100 Continue` to clients of HTTP/1.0, who would take it for the answer."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UvicornProtocol(HttpToolsProtocol):
    """RFC 9110, section 10.1.1: an expectation in a request of HTTP/1.0 is passed over."""

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False
        super().on_headers_complete()
