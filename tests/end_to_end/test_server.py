"""The real command: starts, says where, answers, drains on SIGTERM, refuses what is unsafe."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.end_to_end.processes import command, environment, running


def start(tmp_path: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """A start that is expected to fail."""
    return subprocess.run(
        command(*arguments), env=environment(tmp_path, **settings), capture_output=True, text=True, timeout=60
    )


def test_the_same_bytes_after_a_restart(tmp_path: Path, bundle_folder: Path) -> None:
    """Two processes, one after the other: the same file."""
    files = []
    for _ in range(2):
        with running(tmp_path, bundle_folder) as (_, address):
            files.append(httpx.post(f"{address}/sample", json={"model": "tiny", "n": 4, "seed": 7}).content)
    assert files[0] == files[1]


def test_sigterm_drains(tmp_path: Path, bundle_folder: Path) -> None:
    """Requests in flight at SIGTERM are answered, and the process ends by itself."""
    with running(tmp_path, bundle_folder) as (process, address):
        port = int(address.rsplit(":", 1)[1])
        asking = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(4)]
        body = b'{"model": "tiny", "n": 500, "seed": 1}'
        head = (
            b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        for connection in asking:
            connection.sendall(head % len(body) + body)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        statuses = [int(connection.recv(12)[9:12]) for connection in asking]
        for connection in asking:
            connection.close()
        assert statuses == [200] * 4
        assert process.wait(timeout=20) in {0, -signal.SIGTERM}  # uvicorn hands the signal on when it is done


def test_public_addresses_need_keys(tmp_path: Path) -> None:
    """Listening on every interface without keys is refused with a sentence that says what to do."""
    done = start(tmp_path, "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "refusing to listen on 0.0.0.0 without API keys" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_provider_that_is_not_there(tmp_path: Path, bundle_folder: Path) -> None:
    """Asking for CUDA on a machine without it: one clear sentence, no traceback."""
    done = start(tmp_path, "--bundles", str(bundle_folder), GANYMEDE_PROVIDER="cuda")
    assert done.returncode != 0
    assert "provider 'cuda' was asked for" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting(tmp_path: Path) -> None:
    """Exit code 2 and the name of the setting."""
    done = start(tmp_path, GANYMEDE_MAX_BATCH="many")
    assert done.returncode == 2
    assert "max_batch" in done.stderr


def test_the_api_role_needs_neither_torch_nor_onnxruntime(tmp_path: Path, bundle_folder: Path) -> None:
    """A process without an engine imports neither."""
    script = """
import asyncio, sys
from pathlib import Path
from service.http.app import build_app
from service.settings import Settings
app = build_app(Settings(role="api", bundles=(Path(sys.argv[1]),), data_dir=Path(sys.argv[2])))
async def main():
    async with app.router.lifespan_context(app):
        print(sorted({"torch", "onnxruntime"} & set(sys.modules)))
asyncio.run(main())
"""
    arguments = [sys.executable, "-c", script, str(bundle_folder), str(tmp_path / "d")]
    done = subprocess.run(arguments, env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
