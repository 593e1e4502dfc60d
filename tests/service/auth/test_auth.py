"""API keys over HTTP: who may do what, how often; keys come and go without a restart."""

import os
import re
import uuid
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.auth import keys
from service.auth.keys import SCOPES, ApiKey, KeyFileError, KeyRing, RateLimiter, hash_key, new_key, read_keys
from service.redis.keys import RedisKeys
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
        listed = [(await client.get("/jobs", headers=bearer(tokens[name]))).json()["data"] for name in ("slow", "root")]
        assert [len(jobs) for jobs in listed] == [0, 1]


def test_a_new_key_works_within_a_second(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are added and revoked by editing the file; a broken edit, or none there, changes nothing until it is mended."""
    assert keys.LOOK_EVERY_S <= 1
    monkeypatch.setattr(keys, "LOOK_EVERY_S", 0.0)
    path = tmp_path / "keys.toml"
    ring = KeyRing(path)
    token, table = new_key("eve", ["sample", "latents:write"], 60)
    assert ring.find(token) is None
    assert ring.find("\udcff") is None, "a header of any bytes is no key"

    def write(text: bytes, later_s: int) -> None:
        path.write_bytes(text)
        os.utime(path, (later_s, later_s))

    write(table.encode(), 1)
    assert ring.find(token) == ApiKey("eve", hash_key(token), frozenset(["sample", "latents:write"]), 60)
    assert ring.find(tokens["ann"]) is None
    for later_s, broken in enumerate((b"[[key]\nbroken", b"\xff", table.replace("= 60", "= 'often'").encode()), 2):
        write(broken, later_s)
        assert ring.find(token) is not None
    path.unlink()
    assert ring.find(token) is not None
    write(b"", 9)
    assert ring.find(token) is None


def test_the_key_file_is_not_looked_at_for_every_request(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys may lie on a disk that is slow; once the time has passed they are read again."""
    ring, (late, table) = KeyRing(tmp_path / "keys.toml"), new_key("eve", ["sample"], 60)
    (tmp_path / "keys.toml").write_text(table)
    monkeypatch.setattr(keys, "LOOK_EVERY_S", 60.0)
    assert ring.find(late) is None
    monkeypatch.setattr(keys, "LOOK_EVERY_S", 0.0)
    assert ring.find(late) is not None


ROW = f"[[key]]\nname='a'\nsha256='{hash_key('x')}'\nscopes=['sample']\n"
BROKEN = {
    "[[key]]\nname='a'": "sha256|scopes",
    "x=": "TOML",
    "key=3": "int",
    ROW.replace("sample", "all"): "unknown scope 'all'",
    ROW.replace("['sample']", "'sample'"): "scopes must be a list",
    ROW.replace(hash_key("x"), hash_key("x")[1:]): "64 hex digits",
    ROW + "per_minute=0": "at least 1",
    ROW + "per_minute='often'": "often",
    ROW + ROW.replace("sample", "admin"): "same name",
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_file_is_refused_with_a_reason(tmp_path: Path, text: str, reason: str) -> None:
    """The operator reads what is wrong; no key is silently dropped."""
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(KeyFileError, match=f"API key.*{reason}"):
        read_keys(tmp_path / "keys.toml")


def test_what_is_not_said_is_600_a_minute(tmp_path: Path) -> None:
    """The other fields may be written in capitals; `per_minute` may be left out, or as little as one."""
    path = tmp_path / "keys.toml"
    path.write_text(ROW.replace(hash_key("x"), hash_key("x").upper()))
    assert read_keys(path) == (ApiKey("a", hash_key("x"), frozenset(["sample"]), 600),)
    path.write_text(ROW + "per_minute=1")
    assert read_keys(path)[0].per_minute == 1


def test_the_file_does_not_hold_the_key() -> None:
    """Whoever reads the file cannot use it; nobody guesses it, and no two are alike."""
    token, table = new_key("a", ["sample"], 1)
    assert token not in table
    assert hash_key(token) in table
    assert re.fullmatch(r"gmd_[\w-]{43}", token)
    assert new_key("a", ["sample"], 1)[0] != token


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_may_what_it_says_and_an_admin_everything(scope: str) -> None:
    """Each scope for itself."""
    assert ApiKey("a", "", frozenset([scope])).allows(scope)
    assert ApiKey("a", "", frozenset(["admin"])).allows(scope)
    assert not ApiKey("a", "", frozenset(SCOPES) - {scope, "admin"}).allows(scope)


async def test_a_limit_says_when_the_next_request_may_come(redis: Redis) -> None:
    """Two a minute of all processes: two at once, the third half a minute later; other names are not concerned."""
    keys = RedisKeys("{t" + uuid.uuid4().hex[:10] + "}")
    one, other = RateLimiter(redis, keys), RateLimiter(redis, keys)
    waits = [await limiter.wait_s("a", 2) for limiter in (one, other, one, other)]
    assert waits[:2] == [0, 0]
    assert all(29 < wait <= 30 for wait in waits[2:]), "who was refused is not counted"
    assert await one.wait_s("b", 2) == 0
