"""A small made-up picture set: discs and bars, each in its own class folder."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("bar", "disc")


def make_pictures(folder: Path, count: int = 24, side: int = 20) -> Path:
    """`count` pictures a class under `folder/<class>/`, RGB PNG, the same every time."""
    random = np.random.RandomState(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image = Image.new("RGB", (side, side), tuple(int(v) for v in random.randint(0, 80, 3)))
            left, top = random.randint(0, side // 2, 2)
            box = (left, top, left + side // 2, top + (side // 2 if name == "disc" else 3))
            shape = ImageDraw.Draw(image)
            (shape.ellipse if name == "disc" else shape.rectangle)(box, fill=(255, 200, int(random.randint(255))))
            image.save(folder / name / f"{index:03d}.png")
    return folder


def tiny_overrides(data: Path, **more: object) -> list[str]:
    """Overrides that make a run of any DCGAN recipe last seconds: 16-pixel pictures, nets of width 4."""
    values = {
        "data.path": str(data), "data.size": 16, "generator.width": 4, "discriminator.width": 4, "latent.size": 8,
        "run.batch": 8, "run.steps": 6, "run.precision": "float32", "run.device": "cpu", "run.log_every": 2,
        "run.snapshot_minutes": 0, "ema.standing_batches": 2, "ema.images": 100, "data.labels": "class",
    } | {key.replace("__", "."): value for key, value in more.items()}  # fmt: skip
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in values.items()]
