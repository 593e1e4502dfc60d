"""Heads of requests that were parsed before: the same bytes mean the same, so they need not be parsed again."""

END, MOST_HEADS, MOST_BYTES = b"\r\n\r\n", 256, 1024
LINE = b"POST /sample HTTP/1.1\r\n"


class KnownHeads:
    """Heads of one process, at most MOST_HEADS of at most MOST_BYTES, each with the length of the body it announces."""

    def __init__(self) -> None:
        self._lengths: dict[bytes, int] = {}

    def body_of(self, data: bytes) -> bytes | None:
        """The body, if `data` is one whole request with a known head and nothing more."""
        start = data.find(END) + len(END)  # without an end this is no head that anybody knows
        length = self._lengths.get(data[:start])
        return data[start:] if length is not None and len(data) == start + length else None

    def learn(self, data: bytes, length: int) -> None:
        """Remember the head of `data`, which a parser took for one request with `length` bytes of body; forget all when full."""
        head = data[: len(data) - length]
        if len(head) > MOST_BYTES or not head.startswith(LINE) or head.find(END) != len(head) - len(END):
            return
        if len(self._lengths) >= MOST_HEADS:
            self._lengths.clear()
        self._lengths[head] = length
