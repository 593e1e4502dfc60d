"""The decoding process: reads pictures from stdin, writes pixels to stdout, and may not grow beyond its allowance.

Run by `service.images.uploads.decoder` as `python -m service.images.uploads.child <address space in bytes>`. A frame each way is
a JSON line, then as many bytes as it says.
"""

import contextlib
import json
import signal
import sys
import warnings
from typing import Any, BinaryIO

from PIL import Image

from service.images.uploads.decode import BROKEN, Decoded, decode


def main() -> None:
    """Serve until stdin closes."""
    _confine(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C goes to the server, which closes our stdin
    Image.MAX_IMAGE_PIXELS = None  # `decode` has its own limit
    warnings.simplefilter("ignore")
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        header = json.loads(line)
        data = requests.read(header["bytes"])
        with contextlib.suppress(BrokenPipeError):
            _answer(answers, data, header)


def _confine(address_space: int) -> None:
    """Limit memory and forbid new processes and files, where the system has such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(stream: BinaryIO, data: bytes, header: dict[str, Any]) -> None:
    try:
        decoded = decode(data, header["format"], header["max_pixels"])
    except MemoryError as error:
        _send(stream, {"error": "memory", "detail": str(error)})
    except BROKEN as error:
        _send(stream, {"error": "damaged", "detail": _reason(error)})
    else:
        _send(stream, _describe(decoded), decoded)


def _describe(decoded: Decoded) -> dict[str, Any]:
    height, width, _ = decoded.pixels.shape
    return {"height": height, "width": width, "alpha": decoded.alpha is not None}


def _send(stream: BinaryIO, header: dict[str, Any], decoded: Decoded | None = None) -> None:
    stream.write(json.dumps(header).encode() + b"\n")
    if decoded is not None:
        stream.write(decoded.pixels.tobytes())
        if decoded.alpha is not None:
            stream.write(decoded.alpha.tobytes())
    stream.flush()


def _reason(error: Exception) -> str:
    """A sentence without paths or object addresses."""
    text = str(error).split("\n")[0]
    return "it is damaged" if not text or "0x" in text or "/" in text or "cannot identify" in text else text


if __name__ == "__main__":
    main()
