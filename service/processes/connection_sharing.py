"""Even connections over the processes of a group: who has more than another hands a fresh connection over.

The kernel spreads connections by a hash, and few long-lived ones land unevenly: of four, both of two processes get two
in three cases of eight. A table in shared memory says how many connections each process has; every cell has one writer,
so that nothing is locked and nothing drifts. A socket of a fresh connection travels over a unix socket (SCM_RIGHTS).
A kept connection is not moved: where a process has too many, because another was not there when they came, some answers end
theirs (`Connection: close`), and their clients come back as fresh ones.
"""

import asyncio
import mmap
import socket
from collections.abc import Callable

AWAY = -1
"""What the table says of a process that takes nothing: not there yet, draining, or dead."""
LOOK_S = 1.0
"""How often a process looks whether it has more connections than another."""
Adopt = Callable[[socket.socket], object]


class ConnectionTable:
    """The table and the sockets of a group; made before its processes are forked.

    `open[k]` are the connections of process k, or AWAY; `adopted[k]` those it ever took over: both are written by k alone.
    `handed[k]` are those that k ever handed to each process, written by k alone, too.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        cells = memoryview(mmap.mmap(-1, 4 * count * (2 + count))).cast("i")
        rows = [cells[start : start + count] for start in range(0, len(cells), count)]
        self.open, self.adopted, self.handed = rows[0], rows[1], rows[2:]
        self.sockets = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for pair in self.sockets:
            for end in pair:
                end.setblocking(False)
        for index in range(count):
            self.mark_away(index)

    def mark_away(self, index: int) -> None:
        """Nobody hands anything to this process until it says that it takes connections."""
        self.open[index] = AWAY

    def handed_to(self, index: int) -> int:
        """Connections that were ever handed to a process."""
        return sum(row[index] for row in self.handed)

    def load(self, index: int) -> int:
        """Connections of a process, those on their way to it included."""
        return self.open[index] + self.handed_to(index) - self.adopted[index]


class ConnectionShare:
    """One process of the group. All calls are made in its event loop's thread."""

    def __init__(self, table: ConnectionTable, index: int) -> None:
        self._all, self._index = table, index
        self._inbox = table.sockets[index][0]
        self._adopt: Adopt | None = None
        self._too_many = 0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, adopt: Adopt) -> None:
        """From now on connections may come; `adopt` gets the socket of each."""
        self._adopt = adopt
        self._empty()  # what a predecessor that died left behind
        self._all.adopted[self._index] = self._all.handed_to(self._index)
        self._all.open[self._index] = 0
        asyncio.get_running_loop().add_reader(self._inbox.fileno(), self._empty)
        self._rebalance()

    def leave(self) -> None:
        """Take nothing any more; what is on its way is still taken."""
        if self._timer is not None:
            self._timer.cancel()
        if self._adopt is not None:
            self._all.mark_away(self._index)
            self._empty()
            asyncio.get_running_loop().remove_reader(self._inbox.fileno())
            self._adopt = None

    def hand_over(self, connection: int) -> bool:
        """Give a fresh connection (its descriptor) to the process with the fewest, if it has fewer than we; else keep it."""
        target = self._least_loaded()
        if target is None:
            return False
        try:
            socket.send_fds(self._all.sockets[target][1], [b"+"], [connection])
        except OSError:  # its inbox is full
            return False
        self._all.handed[self._index][target] += 1
        return True

    def release(self) -> bool:
        """Whether the answer that is written now should end its connection. Each True counts as one connection less."""
        if not self._too_many:
            return False
        self._too_many -= 1
        return True

    def opened(self) -> None:
        """A connection is ours."""
        self._move(1)

    def closed(self) -> None:
        """One of ours ended."""
        self._move(-1)

    def _rebalance(self) -> None:
        target = self._least_loaded()
        self._too_many = 0 if target is None else (self._all.load(self._index) - self._all.load(target)) // 2
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._rebalance)

    def _move(self, by: int) -> None:
        if self._all.open[self._index] != AWAY:
            self._all.open[self._index] += by

    def _least_loaded(self) -> int | None:
        own = self._all.load(self._index)
        if self._all.open[self._index] <= 0:
            return None
        others = [k for k in range(self._all.count) if k != self._index and self._all.open[k] != AWAY]
        target = min(others, key=self._all.load, default=None)
        # with many connections a small difference is not worth a hop
        return target if target is not None and own > self._all.load(target) * 9 // 8 else None

    def _empty(self) -> None:
        while True:
            try:
                _, descriptors, _, _ = socket.recv_fds(self._inbox, 1, 1)
            except OSError:
                return
            for descriptor in descriptors:
                self._all.adopted[self._index] += 1
                if self._adopt is not None:
                    self._adopt(socket.socket(fileno=descriptor))
