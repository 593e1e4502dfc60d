"""While Redis is away: whatever needs it is told so, and pictures are made all the same."""

from tests.conftest import ClientFactory
from tests.service.servers import Server

ASKED = [
    "GET /jobs",
    "GET /jobs/dead",
    f"GET /jobs/{'0' * 32}",
    f"GET /jobs/{'0' * 32}/result",
    f"POST /jobs/{'0' * 32}/cancel",
    f"POST /jobs/{'0' * 32}/requeue",
    "GET /latents",
    "GET /latents/ann",
    "GET /latents/ann/lineage",
    "GET /latents/export",
    "DELETE /latents/ann",
    "GET /directions",
    "GET /directions/smile",
    "DELETE /directions/smile",
]
SET = {"seed": 1, "n": 5}


async def test_what_needs_the_store_says_that_it_is_away(client_with: ClientFactory, own_server: Server) -> None:
    """503 with a sentence and a time to come back, never a failure that nobody foresaw."""
    async with client_with(redis_url=own_server.url, max_pictures=4, async_pictures=4) as client:
        own_server.kill()
        answers = {asked: await client.request(*asked.split(" ")) for asked in ASKED}
        answers["a job"] = await client.post("/sample", json={"seed": 1}, headers={"prefer": "respond-async"})
        answers["a set"] = await client.post("/sample", json=SET)
        found = {asked: (answer.status_code, answer.headers.get("retry-after")) for asked, answer in answers.items()}
        assert found == dict.fromkeys(found, (503, "1"))
        assert (await client.post("/sample", json={"seed": 1})).status_code == 200
        own_server.start()
