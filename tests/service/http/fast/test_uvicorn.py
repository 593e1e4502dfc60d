"""What `service.http.fast.connection` takes for granted of uvicorn; each sentence says what an update has changed."""

import asyncio
import inspect
import json

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.http.fast.connection import Connection
from service.http.uvicorn_protocol import UvicornProtocol
from tests.service.wires import Open, Wire


async def test_a_protocol_is_made_of_these_arguments() -> None:
    """uvicorn's server calls the class of `Config(http=...)` with keywords, which its own takes."""
    makes = inspect.getsource(uvicorn.Server.startup)
    for name in ("config", "server_state", "app_state", "_loop"):
        assert f"{name}=" in makes, f"uvicorn no longer gives a protocol {name!r}"
        assert name in inspect.signature(HttpToolsProtocol).parameters, f"uvicorn's protocol no longer takes {name!r}"


def test_a_server_state_has_these_fields() -> None:
    """Connections that are drained, headers of every answer, and the number of requests."""
    state = ServerState()
    assert isinstance(state.connections, set), "uvicorn no longer keeps its connections in a set"
    assert isinstance(state.default_headers, list), "uvicorn no longer keeps default headers as a list of pairs"
    assert state.total_requests == 0, "uvicorn no longer counts requests in total_requests"


def test_a_drain_is_told_to_every_connection() -> None:
    """`Server.shutdown` calls `shutdown()` of each member of `server_state.connections`."""
    source = inspect.getsource(uvicorn.Server.shutdown)
    assert "connection.shutdown()" in source, "uvicorn no longer calls shutdown() of its connections"


def test_a_protocol_has_what_is_looked_at() -> None:
    """What `service.http.uvicorn_protocol` looks at and sets of a protocol and its cycle."""
    source = inspect.getsource(HttpToolsProtocol)
    for name in (
        "self.parser.get_http_version()",
        "self.expect_100_continue",
        "parse_url(self.url)",
        '"headers": self.headers',
        "def on_headers_complete",
        "self.cycle",
        "self.send_400_response(msg)",
    ):
        assert name in source, f"uvicorn's protocol no longer has {name}"
    for name in ("response_complete", "more_body"):
        assert f"self.{name} = " in inspect.getsource(RequestResponseCycle), f"uvicorn's cycle no longer has {name}"


async def test_what_is_no_request_gets_a_problem(opened: Open) -> None:
    """As every other refusal does; then the connection ends."""
    app = await opened()
    for fast in (True, False):
        wire = Wire(app, fast=fast)
        wire.tell(b"NOT A REQUEST\r\n\r\n")
        status, headers, body = await wire.hear()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
        assert (json.loads(body)["status"], json.loads(body)["detail"]) == (400, "Invalid HTTP request received.")
        assert wire.closed


async def test_a_connection_is_handed_over_by_calling_its_protocol(opened: Open) -> None:
    """Made, fed and drained by the methods of asyncio.Protocol and `shutdown`; it enters itself into the connections."""
    app = await opened()
    wire = Wire(app)
    assert [type(one) for one in wire.server_state.connections] == [Connection]
    wire.tell(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert [type(one) for one in wire.server_state.connections] == [UvicornProtocol]
    assert (await wire.hear())[0] == 200
    await asyncio.sleep(0)
    wire.shutdown()
    assert wire.closed, "uvicorn's protocol no longer closes an idle connection at shutdown()"
