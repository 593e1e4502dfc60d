"""A folder as people have them: 200 pictures and save files in three levels of folders, some broken, some misnamed."""

import io
from itertools import cycle, islice
from pathlib import Path

from PIL import Image

from ganymede_client import Client, calls

FOREIGN = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF"}
PLACES = ("", "sub", "sub/deep")
MEDIA = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "zip": "application/zip",
    "npz": "application/x-npz",
}
SEVERAL = ("zip", "npz")
Files = dict[str, bytes]


def write_mixed(folder: Path, photos: list[Path], ganymede: Client) -> dict[str, int]:
    """Fills the folder; how many files of each sort. The server needs `fashion32` and `photo-x2`."""
    foreign, saved = _foreign(photos), _saved(ganymede)
    sorts = {
        "pictures of others": foreign,
        "save files": saved | _sharpened(ganymede, foreign),
        "wrong suffix": _misnamed(saved),
        "broken": _broken(saved | foreign),
        "not meant": {f"notes{k}.txt": b"not meant" for k in range(3)} | {".hidden.png": foreign["p000.png"]},
    }
    for files in sorts.values():
        for (name, data), place in zip(files.items(), cycle(PLACES)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            (folder / place / name).write_bytes(data)
    return {sort: len(files) for sort, files in sorts.items()}


def _foreign(photos: list[Path]) -> Files:
    files: Files = {}
    for k, (photo, suffix) in enumerate(islice(zip(cycle(photos), cycle(FOREIGN)), 45)):
        with Image.open(photo) as opened:
            small = opened.convert("RGB").resize((40 + k, 48))
        files[f"p{k:03d}.{suffix}"] = _encoded(small, FOREIGN[suffix])
    return files


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def _saved(ganymede: Client) -> Files:
    files: Files = {}
    for suffix, media in MEDIA.items():
        for k in range(10 if suffix in SEVERAL else 26):
            call = calls.sample(n=4 if suffix in SEVERAL or k % 5 == 0 else 1, seed=k, model="fashion32")
            files[f"s{k:03d}-{suffix}.{suffix}"] = ganymede.run(calls.encoded(call, media))
    for suffix in ("gif", "webp"):
        for k in range(10):
            walk = calls.interpolate([k, k + 1], frames=5, model="fashion32")
            files[f"walk{k:03d}-{suffix}.{suffix}"] = ganymede.run(calls.encoded(walk, f"image/{suffix}"))
    return files


def _sharpened(ganymede: Client, foreign: Files) -> Files:
    sources = list(foreign.items())[:6]
    return {f"big-{Path(name).stem}.png": ganymede.upsample(data, model="photo-x2")[0].data for name, data in sources}


def _misnamed(saved: Files) -> Files:
    pairs = ("png.jpg", "webp.png", "jpg.webp", "zip.png", "png.zip", "jpg.npz", "npz.zip")
    return {f"is-a-{pair}": saved[f"s001-{pair.partition('.')[0]}.{pair.partition('.')[0]}"] for pair in pairs}


def _broken(good: Files) -> Files:
    kinds = {name.partition(".")[2]: data for name, data in good.items()}
    empty = {f"empty.{suffix}": b"" for suffix in kinds}
    cut = {f"cut.{suffix}": data[: len(data) // 2] for suffix, data in kinds.items()}
    text = {f"text{k}.{suffix}": b"<html>no picture</html>" for k, suffix in enumerate(("png", "jpg", "gif", "npz"))}
    return empty | cut | text
