"""Large jobs in parts: whichever workers took them, the answer is the one that a single piece would have given."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from service.errors import ConflictError
from service.operations.parts import cut_up, merged
from service.operations.results import Pictures
from service.operations.sample import SampleRequest
from service.operations.table import OPERATIONS
from tests.conftest import ClientFactory
from tests.service.images.uploads.pictures import photo, saved
from tests.service.operations.test_jobs import ended

PICTURE = saved(photo(), "PNG")
EXPRESSION = "mean(seed(1), seed(2)) - seed(3) + seed(4)"
REQUESTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "sample": ("/sample", {"json": {"seed": 7, "n": 23}}, 5),
    "seeds": ("/sample", {"json": {"seeds": list(range(40, 28, -1)), "model": "tiny-labels"}}, 3),
    "walk": ("/interpolate", {"json": {"stops": [1, 2, "seed(3)"], "frames": 21, "loop": True}}, 5),
    "around": ("/arithmetic", {"json": {"expression": EXPRESSION, "neighbourhood": {"n": 15}}}, 4),
    "variants": ("/upsample?model=tiny-lapgan&variants=11&seed=5", {"content": PICTURE}, 3),
}
ASYNC = {"prefer": "respond-async"}


@pytest.mark.parametrize("name", REQUESTS)
async def test_parts_give_the_bytes_of_the_whole(client_with: ClientFactory, name: str) -> None:
    """Array, zip and sheet, frame numbers and recipes inside the files included; progress counts pictures."""
    path, sent, parts = REQUESTS[name]
    async with client_with(job_chunk_pictures=5) as client:
        accepted = await client.post(path, **sent, headers=ASYNC)
        job = await ended(client, accepted.headers["location"])
        jobs = client.app.state.ganymede.jobs
        assert (await jobs.get(job["id"])).chunks == parts
        assert (job["state"], job["progress"]["done"]) == ("succeeded", job["progress"]["total"])
        for accept in ("application/x-npy", "application/zip", "image/png"):
            late = await client.get(job["urls"]["result"], headers={"accept": accept})
            assert late.content == (await client.post(path, **sent, headers={"accept": accept})).content
        late = await client.get(job["urls"]["result"], headers={"accept": "application/json"})
        now = await client.post(path, **sent, headers={"accept": "application/json"})
    assert said(late) == said(now)


def said(answer: httpx.Response) -> dict[str, Any]:
    """An envelope without what differs between two answers in any case."""
    return {key: value for key, value in answer.json().items() if key not in ("id", "created", "timing_ms")}


async def test_frames_of_all_parts_reach_who_listens(client_with: ClientFactory) -> None:
    """The page shows a large walk while it is made, whichever worker makes which frames."""
    async with client_with(job_chunk_pictures=5) as client:
        accepted = await client.post("/interpolate", json={"stops": [1, 2], "frames": 12}, headers=ASYNC)
        text = (await client.get(accepted.json()["urls"]["events"])).text
    assert text.count("event: frame\n") == 12
    assert all(f'"index":{frame},"total":12' in text for frame in range(12))


async def test_what_keeps_its_result_is_one_piece(client: httpx.AsyncClient) -> None:
    """A job that saves under a name it also reads would else see two different latents."""
    row = OPERATIONS["arithmetic"]
    wish = {"expression": "seed(1)", "neighbourhood": {"n": 100}}
    assert len(cut_up(row, row.request.model_validate(wish), 20)) == 6
    assert cut_up(row, row.request.model_validate({**wish, "save_as": "x"}), 20) == []
    assert cut_up(row, row.request.model_validate({**wish, "layout": "equation"}), 20) == []


def test_costs_of_parts_add_up() -> None:
    """Admission and the fair queue count the same work, split or not."""
    row, request = OPERATIONS["upsample"], OPERATIONS["upsample"].request.model_validate({"variants": 7})
    request._tiles = 9  # type: ignore[attr-defined]
    assert [cost for cost, _ in cut_up(row, request, 20)] == [18, 18, 18, 9]
    assert cut_up(OPERATIONS["sample"], SampleRequest(n=5), 5) == []


def test_parts_of_different_things_are_not_put_together() -> None:
    """A saved latent was replaced while the job ran: half a walk through each would be nobody's wish."""
    part = Pictures("m@1", "cpu", (), recipe={"stops": ["a"]})
    assert merged([part, part]).recipe == part.recipe
    with pytest.raises(ConflictError):
        merged([part, replace(part, recipe={"stops": ["b"]})])
