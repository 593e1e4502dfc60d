"""Connections of a group of processes: handed over when a neighbour has fewer, counted without drift."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from service.processes.connection_sharing import Neighbours, Seat

Group = tuple[Neighbours, list[Seat], list[list[socket.socket]]]


@pytest.fixture
async def pair() -> AsyncIterator[Group]:
    """Two seats that are taken, and what each adopted."""
    neighbours = Neighbours(2)
    seats, adopted = [Seat(neighbours, k) for k in range(2)], [[], []]  # type: ignore[var-annotated]
    for seat, mine in zip(seats, adopted, strict=True):
        seat.take(mine.append)
    yield neighbours, seats, adopted
    for seat in seats:
        seat.leave()
    for mine in adopted:
        for connection in mine:
            connection.close()


def arrive(seat: Seat) -> bool:
    """A connection that the kernel gave to this process; True when it was handed over."""
    here, there = socket.socketpair()
    gone = seat.hand_over(here.fileno())
    here.close()
    there.close()
    if not gone:
        seat.opened()
    return gone


async def settle(seats: list[Seat], adopted: list[list[socket.socket]]) -> None:
    """Let what is on its way arrive, and count it as a server does."""
    before = [len(mine) for mine in adopted]
    await asyncio.sleep(0.02)
    for seat, mine, old in zip(seats, adopted, before, strict=True):
        for _ in mine[old:]:
            seat.opened()


async def test_all_on_one_become_even(pair: Group) -> None:
    """Eight connections that the kernel gives to one process: four each, before and after the others arrived."""
    neighbours, seats, adopted = pair
    assert [arrive(seats[0]) for _ in range(8)].count(True) == 4
    assert [neighbours.load(k) for k in range(2)] == [4, 4]
    await settle(seats, adopted)
    assert [neighbours.open_at(k) for k in range(2)] == [4, 4]
    assert [neighbours.load(k) for k in range(2)] == [4, 4]


async def test_a_connection_works_on_the_other_side(pair: Group) -> None:
    """What was handed over is the connection itself: bytes pass, and closing the giver's end does not end it."""
    _, seats, adopted = pair
    arrive(seats[0])
    here, there = socket.socketpair()
    assert seats[0].hand_over(here.fileno())
    here.close()
    await asyncio.sleep(0.02)
    adopted[1][0].sendall(b"still here")
    assert there.recv(64) == b"still here"
    there.close()


async def test_nobody_gives_to_who_is_away(pair: Group) -> None:
    """A process that drains or died takes nothing; one that comes back starts with nothing, whatever was left behind."""
    neighbours, seats, adopted = pair
    arrive(seats[0])
    neighbours.mark_away(1)
    assert not arrive(seats[0])
    lost, end = socket.socketpair()
    socket.send_fds(neighbours.sockets[1][1], [b"+"], [lost.fileno()])  # sent just before it died
    neighbours.count_handed(0, 1)
    again = Seat(neighbours, 1)
    again.take(adopted[1].append)
    assert len(adopted[1]) == 1
    assert neighbours.load(1) == 0
    again.leave()
    lost.close()
    end.close()


async def test_many_connections_are_not_moved_for_little(pair: Group) -> None:
    """An eighth more than the neighbour is not worth a hop."""
    _, seats, _ = pair
    for seat in seats:
        for _ in range(32):
            seat.opened()
    assert [arrive(seats[0]) for _ in range(5)] == [False] * 5
    assert arrive(seats[0])


async def test_a_full_inbox_keeps_the_connection(pair: Group) -> None:
    """A neighbour that does not read (a stopped process) is not waited for."""
    neighbours, seats, _ = pair
    asyncio.get_running_loop().remove_reader(neighbours.sockets[1][0].fileno())
    for _ in range(4000):
        seats[0].opened()
    kept = [arrive(seats[0]) for _ in range(2000)]
    assert kept[-1] is False
