"""Connections of a group of processes: handed over when a neighbour has fewer, counted without drift."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from service.processes.connection_sharing import LOOK_S, ConnectionShare, ConnectionTable

Group = tuple[ConnectionTable, list[ConnectionShare], list[list[socket.socket]]]


@pytest.fixture
async def pair() -> AsyncIterator[Group]:
    """Two shares that are taken, and what each adopted."""
    table = ConnectionTable(2)
    adopted: list[list[socket.socket]] = [[], []]
    shares = [ConnectionShare(table, k) for k in range(2)]
    for share, mine in zip(shares, adopted, strict=True):
        share.take(mine.append)
    yield table, shares, adopted
    for share in shares:
        share.leave()
    for mine in adopted:
        for connection in mine:
            connection.close()


def arrive(share: ConnectionShare) -> bool:
    """A connection that the kernel gave to this process; True when it was handed over."""
    here, there = socket.socketpair()
    gone = share.hand_over(here.fileno())
    here.close()
    there.close()
    if not gone:
        share.opened()
    return gone


async def settle(shares: list[ConnectionShare], adopted: list[list[socket.socket]]) -> None:
    """Let what is on its way arrive, and count it as a server does."""
    before = [len(mine) for mine in adopted]
    await asyncio.sleep(0.02)
    for share, mine, old in zip(shares, adopted, before, strict=True):
        for _ in mine[old:]:
            share.opened()


async def test_all_on_one_become_even(pair: Group) -> None:
    """Eight connections that the kernel gives to one process: four each, before and after the others arrived."""
    table, shares, adopted = pair
    assert [arrive(shares[0]) for _ in range(8)].count(True) == 4
    assert [table.load(k) for k in range(2)] == [4, 4]
    await settle(shares, adopted)
    assert [table.open[k] for k in range(2)] == [4, 4]
    assert [table.load(k) for k in range(2)] == [4, 4]


async def test_a_connection_works_on_the_other_side(pair: Group) -> None:
    """What was handed over is the connection itself: bytes pass, and closing the giver's end does not end it."""
    _, shares, adopted = pair
    arrive(shares[0])
    here, there = socket.socketpair()
    assert shares[0].hand_over(here.fileno())
    here.close()
    await asyncio.sleep(0.02)
    adopted[1][0].sendall(b"still here")
    assert there.recv(64) == b"still here"
    there.close()


async def test_nobody_gives_to_who_is_away(pair: Group) -> None:
    """A process that drains or died takes nothing; one that comes back starts with nothing, whatever was left behind."""
    table, shares, adopted = pair
    arrive(shares[0])
    table.mark_away(1)
    assert not arrive(shares[0])
    lost, end = socket.socketpair()
    socket.send_fds(table.sockets[1][1], [b"+"], [lost.fileno()])  # sent just before it died
    table.handed[0][1] += 1
    again = ConnectionShare(table, 1)
    again.take(adopted[1].append)
    assert len(adopted[1]) == 1
    assert table.load(1) == 0
    again.leave()
    lost.close()
    end.close()


async def test_many_connections_are_not_moved_for_little(pair: Group) -> None:
    """An eighth more than the neighbour is not worth a hop."""
    _, shares, _ = pair
    for share in shares:
        for _ in range(32):
            share.opened()
    assert [arrive(shares[0]) for _ in range(5)] == [False] * 5
    assert arrive(shares[0])


async def test_kept_connections_go_back_to_who_came_later(pair: Group) -> None:
    """All twelve on one process, as another was not there yet: six answers end theirs, then no more."""
    table, shares, _ = pair
    for _ in range(12):
        shares[0].opened()
    assert not shares[0].release()
    await asyncio.sleep(1.1 * LOOK_S)
    assert [shares[0].release() for _ in range(8)] == [True] * 6 + [False] * 2
    assert not shares[1].release()
    for _ in range(6):
        shares[0].closed()
        shares[1].opened()
    await asyncio.sleep(LOOK_S)
    assert not any(share.release() for share in shares)
    assert [table.open[k] for k in range(2)] == [6, 6]


async def test_nothing_is_released_towards_nobody(pair: Group) -> None:
    """The only process that is there keeps what it has."""
    table, shares, _ = pair
    for _ in range(4):
        shares[0].opened()
    table.mark_away(1)
    await asyncio.sleep(1.1 * LOOK_S)
    assert not shares[0].release()


async def test_a_full_inbox_keeps_the_connection(pair: Group) -> None:
    """A neighbour that does not read (a stopped process) is not waited for."""
    table, shares, _ = pair
    asyncio.get_running_loop().remove_reader(table.sockets[1][0].fileno())
    for _ in range(4000):
        shares[0].opened()
    kept = [arrive(shares[0]) for _ in range(2000)]
    assert kept[-1] is False
