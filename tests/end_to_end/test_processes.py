"""`ganymede serve --processes 2`: one port, two full servers, a supervisor."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.server.processes import tree
from tests.end_to_end.processes import command, environment, running

PNG = {"accept": "image/png", "connection": "close"}


def servers_of(supervisor: int) -> list[int]:
    """The serving children: those with a listening thread, not the keeper of Redis."""
    names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in tree(supervisor)[1:]}
    return [pid for pid, name in names.items() if b"serve" in name]


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)


def test_two_processes_give_the_same_bytes_survive_a_kill_and_drain(tmp_path: Path, bundle_folder: Path) -> None:
    """Whichever process is asked gives the same picture; a killed one comes back; SIGTERM leaves nothing behind."""
    with running(tmp_path, bundle_folder, "--processes", "2") as (process, address):
        body = {"model": "tiny", "n": 3, "seed": 5}
        answers = {httpx.post(f"{address}/sample", json=body, headers=PNG).content for _ in range(12)}
        assert len(answers) == 1
        text = httpx.get(f"{address}/metrics", headers=PNG).text
        assert 'process="0"' in text
        assert 'process="1"' in text
        assert text.count("# TYPE ganymede_requests_total counter") == 1

        before = set(servers_of(process.pid))
        victim = max(before)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(set(servers_of(process.pid)) - {victim}) == len(before))
        wait_until(lambda: all(_answers(address, body, answers) for _ in range(6)))

        family = tree(process.pid)
        process.terminate()
        assert process.wait(timeout=40) == 0
        assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


def test_connections_are_even_and_stay(tmp_path: Path, bundle_folder: Path) -> None:
    """Eight kept connections: four for each of two processes, however the kernel spread them; all of them answer."""
    with running(tmp_path, bundle_folder, "--processes", "2") as (process, address):
        port = int(address.rsplit(":", 1)[1])
        connections = []
        for seed in range(8):
            connections.append(socket.create_connection(("127.0.0.1", port), 60))
            assert _picture(connections[-1], seed)
        counts = sorted(len(connections_of(pid) & established(port)) for pid in servers_of(process.pid))
        assert counts[-2:] == [4, 4]
        assert all(_picture(connection, 99) for connection in connections)
        for connection in connections:
            connection.close()


def test_kept_connections_come_to_a_process_that_is_back(tmp_path: Path, bundle_folder: Path) -> None:
    """One of two is killed and all eight clients go on with the other; once it is back it has half of them again, unasked."""
    with running(tmp_path, bundle_folder, "--processes", "2") as (process, address):
        clients = [httpx.Client(base_url=address) for _ in range(8)]
        before = set(servers_of(process.pid))
        victim = max(before)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: all(_answered(client) for client in clients))
        wait_until(lambda: len(set(servers_of(process.pid)) - {victim}) == len(before))

        def are_even() -> bool:
            assert all(_answered(client) for client in clients)
            port = int(address.rsplit(":", 1)[1])
            return [len(connections_of(pid) & established(port)) for pid in sorted(servers_of(process.pid))][-2:] == [
                4,
                4,
            ]

        wait_until(are_even, 20)
        for client in clients:
            client.close()


def established(port: int) -> set[str]:
    """Inodes of the server's ends of connections to a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "01" and int(row[1].rpartition(":")[2], 16) == port}


def connections_of(pid: int) -> set[str]:
    """Inodes of a process's sockets."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def _picture(connection: socket.socket, seed: int) -> bool:
    body = b'{"model":"tiny","seed":%d}' % seed
    head = b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)
    answer = connection.recv(1 << 16)
    return answer.startswith(b"HTTP/1.1 200") and b"IEND" in answer


def _answered(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.post("/sample", json={"model": "tiny", "seed": 5}).status_code == 200
    return False


def _answers(address: str, body: dict[str, object], known: set[bytes]) -> bool:
    try:
        return httpx.post(f"{address}/sample", json=body, headers=PNG).content in known
    except httpx.TransportError:
        return False


def test_a_taken_port_is_refused(tmp_path: Path, bundle_folder: Path) -> None:
    """Two servers on one port would silently share its connections; the second says that the port is taken."""
    with running(tmp_path, bundle_folder) as (_, address):
        port = address.rsplit(":", 1)[1]
        words = command("--bundles", str(bundle_folder), "--processes", "2", "--port", port)
        second = subprocess.run(words, env=environment(tmp_path / "b"), cwd=tmp_path, capture_output=True, timeout=60)
        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr.decode()
