"""What every rival shares: the same ONNX file, one thread, batch 16 a process, the same encoder, the same request body.

Runs in each rival's own virtual environment, with our repository on PYTHONPATH for latents and encoder.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.bundle import read_bundle
from models.mathematics.latents import draw
from models.runtimes.base import one_hot, to_pixels
from service.images.encode import encode, encode_npy
from service.images.sheet import contact_sheet

PORT = int(os.environ["GANYMEDE_BENCH_PORT"])
CORES = int(os.environ["GANYMEDE_BENCH_CORES"])
MAX_BATCH = 16


class Generator:
    """The bare model: seeds in, uint8 pictures out."""

    def __init__(self) -> None:
        self.bundle = read_bundle(Path(os.environ["GANYMEDE_BENCH_BUNDLE"]))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = self.bundle.path(self.bundle.manifest.levels[0].files.onnx_file)
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def pictures(self, seeds: list[int]) -> np.ndarray:
        """uint8 [n, h, w, c], in batches of at most MAX_BATCH."""
        parts = [self._batch(seeds[k : k + MAX_BATCH]) for k in range(0, len(seeds), MAX_BATCH)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _batch(self, seeds: list[int]) -> np.ndarray:
        manifest = self.bundle.manifest
        feed = {"noise": draw(manifest.latent, seeds)}
        if manifest.levels[0].label and manifest.labels:
            feed["label"] = one_hot([seed % len(manifest.labels) for seed in seeds], len(manifest.labels))
        return to_pixels(self.session.run(None, feed)[0])

    def recipe(self, seed: int) -> dict[str, object]:
        """What our own server writes into a PNG."""
        return {"version": 1, "op": "sample", "model": self.bundle.reference, "seed": seed}


def seeds_of(body: bytes) -> list[int]:
    """The seeds of a request `{"n": n, "seed": s}`."""
    request = json.loads(body)
    return list(range(request["seed"], request["seed"] + request.get("n", 1)))


def answer(pixels: np.ndarray, recipe: dict[str, object], npy: bool) -> tuple[bytes, str]:
    """Body and media type: one PNG, a contact sheet, or an array."""
    if npy:
        return encode_npy(pixels), "application/x-npy"
    picture = pixels[0] if len(pixels) == 1 else contact_sheet(list(pixels))
    return png(picture, recipe), "image/png"


def with_pillow(picture: np.ndarray, recipe: dict[str, object]) -> bytes:
    """What most people write: Pillow at level 1, the recipe as text."""
    info = PngInfo()
    info.add_itxt("ganymede", json.dumps(recipe))
    buffer = io.BytesIO()
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.save(buffer, "PNG", compress_level=1, pnginfo=info)
    return buffer.getvalue()


def with_ours(picture: np.ndarray, recipe: dict[str, object]) -> bytes:
    """The same encoder as in our own server, so that what differs is the server."""
    return encode(picture, "png", recipe)


png = with_pillow if os.environ.get("GANYMEDE_BENCH_ENCODER") == "pillow" else with_ours
