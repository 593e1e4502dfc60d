"""HEAD as RFC 9110 (section 9.3.2) has it: the headers of GET and no body; a stream ends where its first part would come."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let `app` answer a GET and send its headers alone. The answer is whole then, so that a stream is told to end."""
    inner = {**scope, "method": "GET"}

    async def say(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})

    try:
        await app(inner, receive, say)
    finally:
        if "route" in inner:
            scope["route"] = inner["route"]
