"""PNG encoders side by side on real faces: `python -m bench.server.encoders PICTURES.zip`. CPU time of one thread and size.

Ours and Pillow always; OpenCV and imagecodecs where they are installed. Sizes are relative to Pillow at level 6.
"""

import io
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from service.images.png import Pixels, png
from service.images.sheet import contact_sheet

COUNT, ROUNDS = 160, 5
Encoder = Callable[[Pixels], bytes]


def pillow(level: int) -> Encoder:
    """Pillow at a zlib level."""

    def encode(pixels: Pixels) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
        return buffer.getvalue()

    return encode


def encoders() -> dict[str, Encoder]:
    """Everything that can be measured here."""
    found: dict[str, Encoder] = {"ours": png, "Pillow level 1": pillow(1), "Pillow level 6": pillow(6)}
    if find_spec("cv2"):
        import cv2

        found["OpenCV level 1"] = lambda p: cv2.imencode(".png", p[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[
            1
        ].tobytes()
    if find_spec("imagecodecs"):
        import imagecodecs

        found["libpng Huffman (imagecodecs)"] = lambda p: imagecodecs.png_encode(p, level=1, strategy=2, filter=64)
        found["libspng level 1 (imagecodecs)"] = lambda p: imagecodecs.spng_encode(p, level=1)
    return found


def pictures(archive: Path) -> dict[str, list[Pixels]]:
    """Faces of three sizes and sheets of sixteen."""
    with zipfile.ZipFile(archive) as opened:
        names = [n for n in opened.namelist() if n.lower().endswith((".webp", ".png", ".jpg"))][:COUNT]
        faces = [Image.open(io.BytesIO(opened.read(name))).convert("RGB") for name in names]
    sizes = {f"{s}x{s}": [np.asarray(face.resize((s, s))) for face in faces] for s in (32, 64, 128)}
    sheets = [contact_sheet(sizes["64x64"][k : k + 16]) for k in range(0, COUNT, 16)]
    return {**sizes, "sheet of 16": sheets}


def main() -> None:
    """The table in Markdown."""
    print("| pictures | encoder | CPU us a file | of Pillow 6's size |\n|---|---|---|---|")
    for name, examples in pictures(Path(sys.argv[1])).items():
        least = sum(len(pillow(6)(p)) for p in examples)
        for label, encode in encoders().items():
            size = sum(len(encode(p)) for p in examples) / least
            print(f"| {name} | {label} | {cpu_us(encode, examples):.0f} | {size:.3f} |")


def cpu_us(encode: Encoder, examples: list[Pixels]) -> float:
    """The best of a few rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for pixels in examples:
            encode(pixels)
        best = min(best, time.thread_time() - started)
    return best / len(examples) * 1e6


if __name__ == "__main__":
    main()
