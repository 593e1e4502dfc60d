"""What every answer gets from the gate."""

from pathlib import Path

import httpx

from service.http.app import build_app
from service.settings import Settings


async def test_an_answer_ends_its_connection_where_another_process_has_fewer(
    bundle_folder: Path, tmp_path: Path
) -> None:
    """Pictures and refusals alike say `Connection: close` as long as they are asked to, and then no more."""
    turns = iter([True, True, False])
    settings = Settings(bundles=(bundle_folder,), data_dir=tmp_path, threads=1, default_model="tiny")
    app = build_app(settings, release=lambda: next(turns))
    async with app.router.lifespan_context(app):
        await app.state.ganymede.complete()
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = [await client.post("/sample", json={"n": n}) for n in (1, 0, 1)]
    assert [answer.status_code for answer in answers] == [200, 422, 200]
    assert [answer.headers.get("connection") for answer in answers] == ["close", "close", None]
