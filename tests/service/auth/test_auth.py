"""API keys over HTTP: who may do what, how often; keys come and go without a restart."""

import asyncio
from pathlib import Path

import pytest

from service.auth.keys import KeyFileError, KeyRing, hash_key, new_key, read_keys
from tests.conftest import ClientFactory


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """A key file with three keys; their tokens by name."""
    made = {
        "ann": new_key("ann", ["sample"], 600),
        "slow": new_key("slow", ["sample"], 3),
        "root": new_key("root", ["admin"], 600),
    }
    (tmp_path / "keys.toml").write_text("\n".join(table for _, table in made.values()))
    return {name: token for name, (token, _) in made.items()}


async def test_keys_scopes_and_limits(client_with: ClientFactory, tmp_path: Path, tokens: dict[str, str]) -> None:
    """401 without a key, 403 outside its scopes, 429 above its rate with a true Retry-After; health stays open."""
    async with client_with(api_keys_file=tmp_path / "keys.toml") as client:
        assert (await client.get("/livez")).status_code == 200
        for headers in ({}, bearer("gmd_wrong"), {"authorization": "Basic x"}):
            refused = await client.post("/sample", json={"seed": 1}, headers=headers)
            assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        ann = bearer(tokens["ann"])
        assert (await client.post("/sample", json={"seed": 1}, headers=ann)).status_code == 200
        assert (await client.get("/models", headers={"x-api-key": tokens["ann"]})).status_code == 200
        saving = {"name": "a", "from": {"seed": 1}}
        assert (await client.post("/latents", json=saving, headers=ann)).status_code == 403
        assert (await client.post("/sample", json={"seed": 1, "save_as": "a"}, headers=ann)).status_code == 403
        assert (await client.get("/jobs/dead", headers=ann)).status_code == 403
        assert (await client.get("/jobs/dead", headers=bearer(tokens["root"]))).status_code == 200
        slow = [await client.get("/models", headers=bearer(tokens["slow"])) for _ in range(4)]
        assert [answer.status_code for answer in slow] == [200, 200, 200, 429]
        assert 1 <= int(slow[-1].headers["retry-after"]) <= 21


async def test_jobs_belong_to_their_key(client_with: ClientFactory, tmp_path: Path, tokens: dict[str, str]) -> None:
    """Another key's job does not exist; an admin sees all."""
    async with client_with(api_keys_file=tmp_path / "keys.toml") as client:
        headers = {"prefer": "respond-async", **bearer(tokens["ann"])}
        url = (await client.post("/sample", json={"seed": 1}, headers=headers)).headers["location"]
        answers = [
            (await client.get(url, headers=bearer(tokens[name]))).status_code for name in ("ann", "slow", "root")
        ]
        assert answers == [200, 404, 200]
        assert (await client.get("/jobs", headers=bearer(tokens["slow"]))).json()["data"] == []


async def test_a_new_key_works_within_seconds(tmp_path: Path, tokens: dict[str, str]) -> None:
    """Keys are added and revoked by editing the file; a broken edit changes nothing."""
    path = tmp_path / "keys.toml"
    ring = KeyRing(path)
    token, table = new_key("eve", ["sample"], 60)
    assert ring.find(token) is None
    path.write_text(table)
    await asyncio.sleep(1.1)
    assert ring.find(token) is not None
    assert ring.find(tokens["ann"]) is None
    path.write_text("[[key]\nbroken")
    await asyncio.sleep(1.1)
    assert ring.find(token) is not None


@pytest.mark.parametrize(
    "text", ["[[key]]\nname='a'", "x=", f"[[key]]\nname='a'\nsha256='{hash_key('x')}'\nscopes=['all']", "key=3"]
)
def test_a_broken_file_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    """The operator reads what is wrong; no key is silently dropped."""
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(KeyFileError, match="API key"):
        read_keys(tmp_path / "keys.toml")


def test_the_file_does_not_hold_the_key() -> None:
    """Whoever reads the file cannot use it."""
    token, table = new_key("a", ["sample"], 1)
    assert token not in table
    assert hash_key(token) in table
