"""Which pictures are computed next: a pure policy, without threads, clocks or runtimes.

Work arrives as tickets (one level of one request: k pictures). Tickets of the same queue (bundle, level, shape) share
batches; a big ticket is cut into pieces so that it never makes the others wait for more than a batch. Within a queue the
callers take turns, and a caller's small requests with its big ones; immediate work goes before bulk work; queues take turns,
a batch each; a small rest is not left behind; who fills the largest batch alone gets it. While small requests keep coming,
big ones fill at most half a batch, those of hundreds an eighth: who waits for one picture waits less; but not for ever.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

GENTLE_S = 0.25
"""How long after a small request the pieces of big ones stay short. Of eight, a picture costs as much as of sixteen; of four,
a tenth more."""
PATIENCE_S = 0.25
"""A request that has waited longer is due: its pictures fill whole batches, before those of its caller's younger ones."""
HUGE_BATCHES = 16
"""A request that still waits for more full batches than this takes an eighth at a time."""


@dataclass(eq=False)
class Ticket:
    """One level of one request. `payload` is opaque here; `taken` pictures have been handed out.

    `batch` pictures are computed at once, or up to `max_batch` where that leaves nothing behind or makes nobody wait.
    `padded`: every call costs as much as a full batch, so that shorter ones save nobody's time.
    """

    key: Hashable
    count: int
    caller: str
    payload: Any
    arrived: float
    deadline: float | None = None
    bulk: bool = False
    batch: int = 16
    max_batch: int = 16
    padded: bool = False
    cancelled: bool = False
    taken: int = 0

    @property
    def waiting(self) -> int:
        """Pictures not handed out yet."""
        return self.count - self.taken

    @property
    def is_huge(self) -> bool:
        """Still hundreds of pictures."""
        return self.waiting > HUGE_BATCHES * self.batch

    def is_due(self, now: float) -> bool:
        """Whether it has stood back for long enough; a huge one always does."""
        return now - self.arrived > PATIENCE_S and not self.is_huge

    @property
    def is_small(self) -> bool:
        """A quarter of a batch at most."""
        return 4 * self.count <= self.batch


@dataclass(frozen=True)
class Piece:
    """Pictures `start` to `stop` of a ticket."""

    ticket: Ticket
    start: int
    stop: int


@dataclass(frozen=True)
class Batch:
    """Pieces of one queue that are computed at once."""

    key: Hashable
    pieces: tuple[Piece, ...]

    @property
    def count(self) -> int:
        """Pictures in the batch."""
        return sum(piece.stop - piece.start for piece in self.pieces)


@dataclass
class _Queue:
    """Tickets of one queue by caller, small and big apart; the first is served next."""

    callers: "OrderedDict[tuple[str, bool], deque[Ticket]]" = field(default_factory=OrderedDict)

    def add(self, ticket: Ticket) -> None:
        self.callers.setdefault((ticket.caller, ticket.is_small), deque()).append(ticket)


class Batcher:
    """Queues of waiting tickets. `dropped(ticket, reason)` hears of work that is cancelled or past its deadline."""

    def __init__(self, dropped: Callable[[Ticket, str], None]) -> None:
        self._dropped = dropped
        self._queues: tuple[OrderedDict[Hashable, _Queue], ...] = (OrderedDict(), OrderedDict())
        self._small_came = float("-inf")
        self.waiting = 0

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket at the end of its caller's line."""
        if ticket.is_small:
            self._small_came = ticket.arrived
        self._queues[ticket.bulk].setdefault(ticket.key, _Queue()).add(ticket)
        self.waiting += ticket.waiting

    def cancel(self, ticket: Ticket) -> None:
        """Nobody waits for it any more: its place is free at once, what is left of it is skipped later."""
        if not ticket.cancelled:
            ticket.cancelled = True
            self.waiting -= ticket.waiting
            self._dropped(ticket, "cancelled")

    def waiting_keys(self) -> Iterator[Hashable]:
        """The queues in which something waits."""
        return chain.from_iterable(self._queues)

    def next(self, now: float) -> Batch | None:
        """The next batch, or None when nothing waits. Cancelled and expired tickets are dropped on the way."""
        for queues in self._queues:  # immediate first, then bulk
            while queues:
                key, queue = queues.popitem(last=False)
                pieces = self._fill(queue, now)
                if queue.callers:
                    queues[key] = queue  # at the end: the other queues come first
                if pieces:
                    return Batch(key, tuple(pieces))
        return None

    def _fill(self, queue: _Queue, now: float) -> list[Piece]:
        """Callers in turn, a fair share each, until the batch is full or the queue empty."""
        pieces: list[Piece] = []
        whole = room = 0
        passed = 0
        while passed < len(queue.callers) and (room > 0 or not whole):
            caller, line = next(iter(queue.callers.items()))
            ticket = self._live(line, now)
            if ticket is None:
                del queue.callers[caller]
                continue
            if not whole:
                whole = room = self._whole(queue, ticket, now)
            share = min(max(1, room // len(queue.callers)), room - self._kept_free(ticket, whole, now))
            passed = 0 if share > 0 else passed + 1
            queue.callers.move_to_end(caller)
            if share > 0:
                piece = self._take(ticket, share)
                pieces.append(piece)
                room -= piece.stop - piece.start
                self._rotate(queue, caller, line, now)
        return _merged(pieces)

    def _kept_free(self, ticket: Ticket, whole: int, now: float) -> int:
        """Of the `whole` places of a batch those that a ticket may not take."""
        if ticket.is_small or ticket.padded or ticket.is_due(now) or not self._small_come(now):
            return 0
        part = 8 if ticket.is_huge else 2
        return whole - max(1, ticket.batch // part)

    def _small_come(self, now: float) -> bool:
        return now - self._small_came < GENTLE_S

    def _whole(self, queue: _Queue, first: Ticket, now: float) -> int:
        """Places in the next batch: all there can be for who fills them alone, as a call costs more than its pictures."""
        if first.waiting >= first.max_batch and not self._small_come(now):
            return first.max_batch
        return _room(queue, first)

    def _live(self, line: deque[Ticket], now: float) -> Ticket | None:
        while line:
            ticket = line[0]
            late = ticket.deadline is not None and ticket.deadline <= now
            if not ticket.cancelled and not late:
                return ticket
            line.popleft()
            if not ticket.cancelled:  # a cancelled one was counted out when its caller went
                self.waiting -= ticket.waiting
                self._dropped(ticket, "deadline")
        return None

    def _take(self, ticket: Ticket, share: int) -> Piece:
        start, stop = ticket.taken, min(ticket.count, ticket.taken + share)
        ticket.taken = stop
        self.waiting -= stop - start
        return Piece(ticket, start, stop)

    def _rotate(self, queue: _Queue, caller: tuple[str, bool], line: deque[Ticket], now: float) -> None:
        if line[0].waiting == 0:
            line.popleft()
        elif len(line) > 1 and not line[0].is_due(now):
            line.rotate(-1)  # a caller's own requests take turns too: a lone picture passes a request for 500
        if not line:
            del queue.callers[caller]


def _room(queue: _Queue, first: Ticket) -> int:
    """Places in the next batch. A rest of less than half a batch goes along: alone it would wait longer and cost more."""
    most, waiting = min(first.batch + first.batch // 2, first.max_batch), 0
    for ticket in chain.from_iterable(queue.callers.values()):
        waiting += 0 if ticket.cancelled else ticket.waiting
        if waiting > most:
            return first.batch
    return max(waiting, first.batch)


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Join pieces that continue one another, so that results are copied in one stretch."""
    joined: dict[int, Piece] = {}
    for piece in pieces:
        before = joined.get(id(piece.ticket))
        joined[id(piece.ticket)] = Piece(piece.ticket, before.start if before else piece.start, piece.stop)
    return list(joined.values())
