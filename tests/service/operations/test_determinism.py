"""One seed, one picture: a thousand seeds, at any load, before and after a restart, byte for byte."""

import asyncio
import io
import random

import httpx
import numpy as np
import pytest

from tests.conftest import ClientFactory

NPY = {"accept": "application/x-npy"}


async def stack(client: httpx.AsyncClient, **body: object) -> np.ndarray:
    answer = await client.post("/sample", json=body, headers=NPY)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


@pytest.mark.parametrize("model", ["tiny", "tiny-labels", "tiny-lapgan"])
async def test_a_thousand_seeds(client_with: ClientFactory, model: str) -> None:
    """In one request, in random mixed requests side by side, and alone after a restart."""
    async with client_with(async_pictures=2000) as client:
        together = await stack(client, model=model, seed=0, n=1000, timeout_ms=60_000)
        shuffled = random.Random(1).sample(range(1000), 1000)
        groups, rest = [], shuffled
        while rest:
            size = random.Random(len(rest)).choice([1, 1, 2, 5, 16, 40])
            groups.append(rest[:size])
            rest = rest[size:]
        answers = await asyncio.gather(*(stack(client, model=model, seeds=group) for group in groups))
        for group, pixels in zip(groups, answers, strict=True):
            assert np.array_equal(pixels, together[group])
    async with client_with(max_batch=5, threads=2) as client:  # another process, batch size and thread
        for seed in range(0, 1000, 100):
            assert np.array_equal((await stack(client, model=model, seed=seed))[0], together[seed])


async def test_a_client_that_hangs_up_frees_its_place(client_with: ClientFactory) -> None:
    """Cancelled work leaves the queue; the next caller is served and nothing stays counted."""
    async with client_with(queue_pictures=4000) as client:
        engine = client.app.state.ganymede.engine
        model = client.app.state.ganymede.catalogue.get("tiny")
        vectors = np.random.RandomState(0).standard_normal((4000, 8)).astype(np.float32)
        task = asyncio.create_task(engine.generate(model, vectors, [None] * 4000))
        await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])
        assert (await stack(client, seed=1)).shape == (1, 16, 16, 3)
        async with asyncio.timeout(10):
            while engine.waiting:
                await asyncio.sleep(0.01)


async def test_a_full_queue_refuses_at_once(client_with: ClientFactory) -> None:
    """What does not fit is 429 with a Retry-After, and what was accepted is answered."""
    async with client_with(queue_pictures=64) as client:
        requests = [client.post("/sample", json={"seed": k, "n": 60}, headers=NPY) for k in range(12)]
        answers = await asyncio.gather(*requests)
        statuses = {answer.status_code for answer in answers}
        assert 200 in statuses
        assert statuses <= {200, 429}
        for answer in answers:
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
