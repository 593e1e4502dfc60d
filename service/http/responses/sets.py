"""A set of pictures as a zip, npz or npy that is made while it is sent: a part is in memory at a time, never the whole."""

import asyncio
import io
import math
import zipfile
from collections.abc import AsyncIterator, Iterator
from typing import IO, TypeVar, cast

import numpy as np
from numpy.lib.format import write_array_header_1_0
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.errors import InvalidValueError
from service.http.negotiation import NPY, NPZ, PICTURE_TYPES, SSE, ZIP, choose
from service.http.responses.represent import EPOCH
from service.http.responses.respond import respond
from service.http.state import state_of
from service.images.encode import encode
from service.operations.requests import Delivery
from service.operations.results import Pictures
from service.operations.sets import StoredSet

T = TypeVar("T")
STREAMED = (ZIP, NPZ, NPY)


async def respond_set(
    request: Request, found: StoredSet, delivery: Delivery, first: int, count: int | None
) -> Response:
    """A set, or `count` of its pictures from `first` on; a slice no larger than an answer comes in any representation.

    Raises InvalidValueError for a slice that begins behind the last picture.
    """
    state = state_of(request.app)
    if first >= found.count:
        detail = f"the set has {found.count} pictures"
        raise InvalidValueError(f"there is no picture {first}: {detail}", pointer="/first", hint=detail)
    count = min(found.count - first, found.count if count is None else count)
    few = count <= state.settings.max_pictures
    others = tuple(kind for kind in PICTURE_TYPES if kind not in (SSE, *STREAMED)) if few else ()
    media = choose(request.headers.get("accept"), STREAMED + others)
    if media not in STREAMED:
        return await respond(request, await _gathered(found, first, count, state.readers), media, delivery)
    pieces = {ZIP: zip_pieces, NPZ: npz_pieces, NPY: npy_pieces}[media](found, delivery, first, count)
    headers = {"Ganymede-Model": found.parts[0].model, "Ganymede-Provider": found.parts[0].provider}
    if media == NPY:
        headers["Content-Length"] = str(len(_npy_header(found, count)) + count * math.prod(found.shape))
    return StreamingResponse(
        with_backpressure(read_in_threads(pieces, state.readers)), media_type=media, headers=headers
    )


async def read_in_threads(pieces: Iterator[T], readers: asyncio.Semaphore) -> AsyncIterator[T]:
    """What a blocking iterator gives; only so many threads work at this for all clients, as the others need the processor."""
    end = object()
    while True:
        async with readers:
            piece = await asyncio.to_thread(next, pieces, end)
        if piece is end:
            return
        yield cast(T, piece)


async def with_backpressure(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, an empty one after each: the server takes it when the client has read on, so that none is made ahead."""
    async for piece in pieces:
        yield piece
        yield b""


async def _gathered(found: StoredSet, first: int, count: int, readers: asyncio.Semaphore) -> Pictures:
    groups = [group async for group in read_in_threads(found.groups(first, count), readers)]
    pictures = tuple(picture for group in groups for picture in group.pictures)
    return Pictures(groups[0].model, groups[0].provider, pictures, notes=groups[0].notes)


def zip_pieces(found: StoredSet, delivery: Delivery, first: int, count: int) -> Iterator[bytes]:
    """A file a picture, named by its seed; of a seed that comes again by its place, too."""
    pipe, taken, index = _Pipe(), set[int | None](), first
    with zipfile.ZipFile(cast(IO[bytes], pipe), "w", zipfile.ZIP_STORED) as archive:
        for group in found.groups(first, count):
            for picture in group.pictures:
                stem = f"{picture.seed}-{index:06d}" if picture.seed in taken else str(picture.seed)
                taken.add(picture.seed)
                data = encode(picture.pixels, delivery.output_format, picture.recipe, delivery.metadata)
                archive.writestr(zipfile.ZipInfo(f"{stem}.{delivery.output_format}", EPOCH), data)
                index += 1
            del group, picture
            yield pipe.taken()
    yield pipe.taken()


def npz_pieces(found: StoredSet, delivery: Delivery, first: int, count: int) -> Iterator[bytes]:
    """`images` uint8 [n, h, w, c], `seeds` uint32 [n], `labels` [n] where the bundle has them, `model`."""
    pipe = _Pipe()
    seeds: list[int] = []
    labels: list[str] = []
    with zipfile.ZipFile(cast(IO[bytes], pipe), "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("images.npy", EPOCH), "w", force_zip64=True) as member:
            member.write(_npy_header(found, count))
            for group in found.groups(first, count):
                for picture in group.pictures:
                    member.write(np.ascontiguousarray(picture.pixels).tobytes())
                    seeds.append(picture.seed or 0)
                    labels.append(picture.label or "")
                del group, picture
                yield pipe.taken()
        fields = {"seeds": np.array(seeds, np.uint32), "model": np.array(found.parts[0].model.encode())}
        fields |= {"labels": np.array(labels)} if any(labels) else {}
        for name, array in fields.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), buffer.getvalue())
    yield pipe.taken()


def npy_pieces(found: StoredSet, delivery: Delivery, first: int, count: int) -> Iterator[bytes]:
    """uint8 [n, h, w, c]."""
    yield _npy_header(found, count)
    yield from map(_array_bytes, found.groups(first, count))  # a name here would keep a group while the client is slow


def _array_bytes(group: Pictures) -> bytes:
    return b"".join(np.ascontiguousarray(picture.pixels).tobytes() for picture in group.pictures)


def _npy_header(found: StoredSet, count: int) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *found.shape)}
    write_array_header_1_0(buffer, header)
    return buffer.getvalue()


class _Pipe(io.RawIOBase):
    """What was written since somebody took it. It cannot be sought, so zipfile writes as for a stream."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
