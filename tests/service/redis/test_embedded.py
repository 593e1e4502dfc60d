"""The embedded server: one per data folder, durable, gone when we go."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.redis.connect import check_server, connect
from service.redis.embedded import EmbeddedRedis, NoServerError, ping, socket_path
from tests.service.conftest import ENGINES
from tests.service.servers import Server

ENGINE = pytest.mark.parametrize("binary", [b for _, b in ENGINES], ids=[n for n, _ in ENGINES])


@ENGINE
async def test_what_was_written_is_there_after_a_restart(tmp_path: Path, binary: Path) -> None:
    """A user's latents survive stop and start of the service."""
    first = EmbeddedRedis(tmp_path, server=binary)
    client = connect(await first.start())
    await client.set("name", b"\x00\xff")
    await client.aclose()
    await first.stop()
    assert ping(first.socket) == b""
    second = EmbeddedRedis(tmp_path, server=binary)
    client = connect(await second.start())
    assert await client.get("name") == b"\x00\xff"
    assert await check_server(client) == []
    await client.aclose()
    await second.stop()


@ENGINE
async def test_a_write_is_in_its_file_before_it_is_answered(
    tmp_path: Path, binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a sync is at work, when `everysec` would keep it in memory. A second later it is synced."""
    synced: list[str] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    embedded = EmbeddedRedis(tmp_path, server=binary)
    client = connect(await embedded.start())
    assert (await client.config_get("appendfsync"))["appendfsync"] == "no"
    await client.set("name", b"kept")
    (file,) = (*tmp_path.glob("appendonlydir/*.incr.aof"), *tmp_path.glob("appendonly.aof"))
    assert b"kept" in file.read_bytes()
    async with asyncio.timeout(10):
        while str(file) not in synced:
            await asyncio.sleep(0.05)
    await client.aclose()
    await embedded.stop()


async def test_always_is_left_to_the_server(tmp_path: Path) -> None:
    """Who asks for it has every write synced before its answer."""
    embedded = EmbeddedRedis(tmp_path, appendfsync="always")
    client = connect(await embedded.start())
    assert (await client.config_get("appendfsync"))["appendfsync"] == "always"
    await client.aclose()
    await embedded.stop()


@ENGINE
async def test_nobody_else_reaches_it(tmp_path: Path, binary: Path) -> None:
    """No port, and a socket that is this user's alone."""
    embedded = EmbeddedRedis(tmp_path, server=binary)
    client = connect(await embedded.start())
    assert (await client.config_get("port"))["port"] == "0"
    assert stat.S_IMODE(embedded.socket.stat().st_mode) == 0o700
    await client.aclose()
    await embedded.stop()


@ENGINE
async def test_two_on_one_folder_share_one_server(tmp_path: Path, binary: Path) -> None:
    """Two processes on one data folder see each other's data; the second adopts."""
    first, second = EmbeddedRedis(tmp_path, server=binary), EmbeddedRedis(tmp_path, server=binary)
    assert await first.start() == await second.start()
    assert second.child is None
    await second.stop()
    assert ping(first.socket) == b"+PONG\r\n"
    await first.stop()


@ENGINE
async def test_a_killed_server_comes_back_with_its_data(tmp_path: Path, binary: Path) -> None:
    """kill -9 of the store costs a moment and no data."""
    embedded = EmbeddedRedis(tmp_path, server=binary)
    client = connect(await embedded.start())
    await client.set("name", "value")
    assert embedded.child is not None
    embedded.child.kill()
    embedded.child.wait()
    end = time.monotonic() + 10
    while not ping(embedded.socket).startswith(b"+PONG") and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert await client.get("name") == b"value"
    await client.aclose()
    await embedded.stop()


async def test_the_server_goes_when_its_owner_is_killed(tmp_path: Path) -> None:
    """After kill -9 of the service nothing of it keeps running, and the next start finds the data."""
    code = (
        "import asyncio,sys;from pathlib import Path;from service.redis.embedded import EmbeddedRedis\n"
        "async def main():\n"
        "    e=EmbeddedRedis(Path(sys.argv[1]));await e.start();print(e.child.pid,flush=True);await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    client = connect(f"unix://{socket_path(tmp_path.resolve())}")
    await client.set("kept", "1")
    await client.aclose()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    end = time.monotonic() + 10
    while _alive(child) and time.monotonic() < end:
        await asyncio.sleep(0.02)
    assert not _alive(child)
    embedded = EmbeddedRedis(tmp_path)
    client = connect(await embedded.start())
    assert await client.get("kept") == b"1"
    await client.aclose()
    await embedded.stop()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A broken log is one clear sentence, not a hang."""
    with pytest.raises(NoServerError, match="exited at start"):
        await EmbeddedRedis(tmp_path, server=Path("/bin/false")).start()


def test_long_data_folders_get_a_short_socket(tmp_path: Path) -> None:
    """A deep data folder works although sockets have short names."""
    assert socket_path(tmp_path).parent == tmp_path
    assert len(os.fsencode(socket_path(tmp_path / ("x" * 120)))) < 108


async def test_an_unsafe_external_server_is_warned_about(own_server: Server) -> None:
    """An operator learns at start that this Redis would lose latents."""
    client = connect(own_server.url)
    assert await check_server(client) == []
    await client.config_set("appendfsync", "everysec")
    assert "set appendfsync always" in " ".join(await check_server(client))
    await client.config_set("maxmemory-policy", "allkeys-lru")
    await client.config_set("appendonly", "no")
    warnings = await check_server(client)
    assert len(warnings) == 2
    assert "noeviction" in warnings[0]
    assert "appendonly" in warnings[1]
    await client.aclose()
