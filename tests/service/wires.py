"""A client's end of a connection to an application in this process, byte by byte."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from service.http.app import handler_of
from service.http.fast.connection import Connection
from tests.service.http.test_json_route import VARYING

Open = Callable[..., Any]
"""`app = await opened(queue_pictures=4)`: the fixture `opened`."""


class Wire(asyncio.Transport):
    """A client's end of a connection to an application in this process; without `fast` nothing is answered below ASGI."""

    def __init__(self, app: Any, *, fast: bool = True) -> None:
        super().__init__()
        protocol: Any = partial(Connection, handler_of=lambda: handler_of(app) if fast else None)
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            access_log=False,
            log_config=None,
            timeout_keep_alive=600,  # on a busy machine a test may stand still for longer than uvicorn's five seconds
        )
        config.load()
        self.data, self.closed, self.server_state = b"", False, ServerState()
        self.protocol: Connection = config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=config, server_state=self.server_state, app_state={}
        )
        self.protocol.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("10.0.0.1", 1), "sockname": ("10.0.0.2", 80)}.get(name, default)

    def write(self, data: Any) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def say(self, body: bytes, *lines: str, version: str = "1.1", path: str = "/sample") -> bytes:
        """Bytes of a POST with JSON."""
        head = [f"POST {path} HTTP/{version}", "Host: localhost", *lines, f"Content-Length: {len(body)}"]
        if not any(line.lower().startswith("content-type") for line in lines):
            head.append("Content-Type: application/json")
        return "\r\n".join([*head, "", ""]).encode() + body

    def tell(self, data: bytes) -> None:
        """Let the server read this."""
        self.protocol.data_received(data)

    def shutdown(self) -> None:
        """What uvicorn's server does when it drains."""
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def hear(self) -> tuple[int, dict[str, str], bytes]:
        """The next whole answer: status, headers, body."""
        async with asyncio.timeout(60):
            while b"\r\n\r\n" not in self.data:
                await asyncio.sleep(0.001)
            head, _, rest = self.data.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", 0))
            while len(rest) < length:
                await asyncio.sleep(0.001)
                rest = self.data.partition(b"\r\n\r\n")[2]
            self.data = rest[length:]
            return int(first.split()[1]), headers, rest[:length]

    async def ask(self, body: bytes, *lines: str, **options: Any) -> tuple[int, dict[str, str], bytes]:
        """Say and hear."""
        self.tell(self.say(body, *lines, **options))
        return await self.hear()


def answered_fast(app: Any) -> list[bytes]:
    """A list that grows by the body of each request that the fast way answers."""
    if not hasattr(app.state, "handler"):  # with keys or traces there is no fast way
        return []
    taken, start = [], app.state.handler.start

    def spy(head: Any, body: bytes, *rest: Any) -> Any:
        request = start(head, body, *rest)
        taken.extend([body] if request is not None else [])
        return request

    app.state.handler.start = spy
    return taken


def lasting(headers: dict[str, str]) -> dict[str, str]:
    """Headers that two answers to one question share; the length of JSON changes with its id."""
    return {name: value for name, value in headers.items() if name not in VARYING | {"content-length"}}
