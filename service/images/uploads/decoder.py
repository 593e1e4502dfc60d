"""A few child processes that decode uploads: a bomb or a decoder's bug takes a child with it, never the server."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import TooLargeError
from service.images.uploads.decode import Decoded
from service.images.uploads.header import Header
from service.images.uploads.limits import check_upload, damaged
from service.settings import Settings

BASE_BYTES = 768 << 20
BYTES_A_PIXEL = 24
"""Address space a decode may take: the interpreter with Pillow, and six RGBA copies of the largest picture."""
PACKAGE_ROOT = Path(__file__).parents[3]


class Decoder:
    """At most `children` decodes at once, in processes that start on first use and stay."""

    def __init__(self, settings: Settings, children: int = 2, timeout_s: float = 20.0) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._allowance = BASE_BYTES + BYTES_A_PIXEL * settings.max_upload_pixels
        self._slots: asyncio.LifoQueue[_Child | None] = asyncio.LifoQueue()
        for _ in range(children):
            self._slots.put_nowait(None)

    async def decode(self, data: bytes) -> Decoded:
        """Upright sRGB pixels of an upload, metadata left behind.

        Raises UnsupportedPictureError, TooLargeError, or InvalidValueError for a damaged file.
        """
        header = check_upload(data, self._settings)
        child = await self._slots.get()
        try:
            if child is None or not child.alive:
                child = await _Child.start(self._allowance)
            async with asyncio.timeout(self._timeout_s):
                answer = await child.ask(data, header, self._settings.max_upload_pixels)
        except TimeoutError:
            raise damaged(header, f"it takes more than {self._timeout_s:g} seconds") from None
        except (OSError, EOFError, ValueError):
            raise damaged(header, "its decoder gave up") from None
        finally:
            self._slots.put_nowait(_fit_for_more(child))
        return _checked(answer, header)

    async def close(self) -> None:
        """End the children."""
        while not self._slots.empty():
            child = self._slots.get_nowait()
            if child is not None:
                await child.stop()


class _Child:
    """One decoding process and the frames to and from it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.idle = True

    @classmethod
    async def start(cls, allowance: int) -> "_Child":
        """Start a process that may take `allowance` bytes of address space."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "service.images.uploads.child", str(allowance)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=PACKAGE_ROOT,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, data: bytes, header: Header, max_pixels: int) -> dict[str, Any] | Decoded:
        """One picture there, its pixels or a reason back. Raises EOFError or OSError when the child dies of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.idle = False
        frame = {"bytes": len(data), "format": header.format, "max_pixels": max_pixels}
        self._process.stdin.write(json.dumps(frame).encode() + b"\n" + data)
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        result = answer if "error" in answer else await self._pixels(self._process.stdout, answer, header)
        self.idle = True
        return result

    async def _pixels(self, stream: asyncio.StreamReader, answer: dict[str, Any], header: Header) -> Decoded:
        height, width = answer["height"], answer["width"]
        pixels = np.frombuffer(await stream.readexactly(height * width * 3), np.uint8).reshape(height, width, 3)
        if not answer["alpha"]:
            return Decoded(pixels, None, header.format)
        alpha = np.frombuffer(await stream.readexactly(height * width), np.uint8).reshape(height, width)
        return Decoded(pixels, alpha, header.format)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """Close its stdin, then wait; kill what does not listen."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(2):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


def _fit_for_more(child: _Child | None) -> _Child | None:
    """The child, unless it was cancelled, timed out or broke in the middle of a frame: then it is ended."""
    if child is None or (child.alive and child.idle):
        return child
    child.kill()
    return None


def _checked(answer: dict[str, Any] | Decoded, header: Header) -> Decoded:
    if isinstance(answer, Decoded):
        return answer
    if answer["error"] == "memory":
        raise TooLargeError(f"decoding this {header.format} takes more memory than the server gives it")
    raise damaged(header, answer["detail"])
