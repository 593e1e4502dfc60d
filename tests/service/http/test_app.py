"""What goes through the gate, what is the framework's, and what the framework would have added."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from service.http.app import Application


async def test_starting_and_ending_is_the_frameworks() -> None:
    """The gate hears of requests alone."""
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        told.append("begins")
        yield
        told.append("ends")

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope["type"])

    async def receive() -> dict[str, str]:
        return {"type": f"lifespan.{next(steps)}"}

    async def send(message: dict[str, str]) -> None:
        told.append(message["type"])

    app, steps = Application(lifespan=lifespan), iter(["startup", "shutdown"])
    app.gate = gate
    await app({"type": "lifespan"}, receive, send)  # type: ignore[arg-type]
    assert told == ["begins", "lifespan.startup.complete", "ends", "lifespan.shutdown.complete"]
    await app({"type": "http"}, receive, send)  # type: ignore[arg-type]
    assert told[4:] == ["http"]


async def test_without_a_gate_it_is_a_plain_application() -> None:
    """As the framework makes it."""
    transport = httpx.ASGITransport(Application())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/openapi.json")).status_code == 200


async def test_there_is_one_reference_and_plain_names(client: httpx.AsyncClient) -> None:
    """Generated clients call an operation as its function is called; the framework's own pages ask other hosts."""
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert (await client.get(path)).status_code == 404
    paths = (await client.get("/openapi.json")).json()["paths"]
    found = (paths["/sample"]["post"]["operationId"], paths["/livez"]["get"]["operationId"])
    assert found == ("post_sample", "livez")
