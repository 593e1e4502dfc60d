"""The folder in which the examples of the help are run: small data sets, bundles and files under the names they speak of."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import torch
from PIL import Image

from models.bundle import MANIFEST_NAME, read_bundle
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.chain import pictures_of
from tests.bundles import make_tiny_pyramid
from tests.end_to_end import command
from tests.end_to_end.processes import environment
from tests.models.imports import generators
from tests.training.pictures import make_pictures, tiny_overrides

Run = Callable[..., str]
DIGITS = 1200
"""Pictures of the made-up MNIST, as `inside features --train 1000` needs a thousand."""
FACES = 400
SMALL = [word for word in tiny_overrides(Path(), run__steps=2, run__watch_samples=0) if not word.startswith("data.")]


class Workbench:
    """Runs commands in the folder, against the server."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address, self.job = folder, address, ""
        self.settings = environment(
            folder.parent, GANYMEDE_URL=address, GANYMEDE_CLIENT_CONFIG=str(folder / "client.toml"), BROWSER="true"
        )

    def run(self, *words: str) -> str:
        """What it says; it succeeds."""
        return run_in(self.folder, self.settings)(*words)

    def put_on_the_server(self) -> None:
        """Saved latents, a direction, keys, and a job."""
        self.run("latents", "save", "woman_1", "--seed", "1")
        self.run("latents", "save", "beth", "--seed", "2")
        self.run("latents", "export", "all.ndjson")
        source = {"difference": {"positive": ["woman_1"], "negative": ["beth"]}}
        direction = {"name": "smiling", "model": "faces64", "from": source}
        httpx.post(f"{self.address}/directions", json=direction, timeout=60).raise_for_status()
        self.run("latents", "delete", "woman_1")  # an example saves it
        self.run("keys", "add", "bob", "--file", "keys.toml")
        later = {"prefer": "respond-async, wait=60", "accept": "application/json"}
        httpx.post(f"{self.address}/sample", json={"n": 3}, headers=later, timeout=90)
        self.job = str(json.loads(self.run("jobs", "list", "--json"))["data"][0]["id"])


def run_in(folder: Path, settings: dict[str, str]) -> Run:
    """`run("info", "a.png")`: what a command says that succeeds."""

    def run(*words: str) -> str:
        done = command.execute(words, folder, settings)
        assert done.returncode == 0, (words, done.stderr.decode())
        return done.stdout.decode()

    return run


def lay_out(top: Path, bundles: Path) -> None:
    """`top/here` with pictures, bundles and runs, and data sets beside it, where recipes look for them."""
    here = top / "here"
    for place in ("served/faces64", "served/mnist-ssl", "models/exports/faces64-lapgan", "photo-x2"):
        _named(bundles / "tiny", here / place)
    make_tiny_pyramid(here / "served", sides=(16, 32, 64))
    for name in ("photo.jpg", "me.jpg", "pics/a.png", "digits/7.png"):
        (here / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), "teal").save(here / name)
    for name in ("netG.pth", "netG_epoch_24.pth"):
        torch.save(generators.example().state_dict(), here / name)
    make_pictures(here / "my-pictures")
    _digits(top / "shared" / "data" / "mnist")
    shutil.copytree(top / "shared" / "data" / "mnist", top / "shared" / "data" / "fashion-mnist")
    _train(run_in(here, environment(here)), here)
    _faces(here)


def _named(bundle: Path, folder: Path) -> None:
    """A copy under another name."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    (folder / MANIFEST_NAME).write_text(json.dumps({**manifest, "name": folder.name}))


def _digits(folder: Path) -> None:
    """Idx files of ten classes: a bright bar, whose place is the class."""
    folder.mkdir(parents=True)
    labels = np.arange(DIGITS, dtype=np.uint8) % 10
    pixels = np.random.RandomState(0).randint(0, 80, (DIGITS, 28, 28)).astype(np.uint8)
    for k, label in enumerate(labels):
        pixels[k, 2 * label : 2 * label + 6] = 255
    for prefix in ("train", "t10k"):
        images = struct.pack(">HBBIII", 0, 8, 3, *pixels.shape) + pixels.tobytes()
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        answers = struct.pack(">HBBI", 0, 8, 1, DIGITS) + labels.tobytes()
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(answers)


def _train(run: Run, here: Path) -> None:
    """Three small runs, the bundles of them under several names, and a classifier."""
    run("train", "fashion32", *SMALL, "--run", "fashion")
    run("export", "fashion", "--name", "fashion32", "--out", "models/exports")
    faces = tiny_overrides(Path("my-pictures"), data__labels="none", run__steps=2, run__watch_samples=0)
    run("train", "faces64-2016", *faces, "--run", "runs/000-faces64")
    run("export", "runs/000-faces64", "--name", "faces64", "--out", ".")
    run("train", "mnist-gan", *(word for word in SMALL if word.startswith(("run.", "ema."))), "--run", "mnist")
    run("export", "mnist", "--name", "mnist-gan", "--out", "models/exports")
    run("classifier", "train", "mnist-cgan", "--epochs", "1", "--out", "mnist.safetensors")
    for place in ("models/exports/faces64", "my-bundles/faces64", "my-bundles/faces"):
        _named(here / "faces64", here / place)


def _faces(here: Path) -> None:
    """Pictures of a bundle itself; the brighter half smiles."""
    bundle = read_bundle(here / "faces64")
    runtime = open_runtime(bundle, "onnx")
    pictures = pictures_of(runtime, bundle.manifest, draw(bundle.manifest.latent, range(FACES)))
    runtime.close()
    brightness = pictures.mean((1, 2, 3))
    (here / "faces").mkdir()
    rows = ["file,person,smiling"]
    for k, picture in enumerate(pictures):
        Image.fromarray(np.uint8(127.5 * (picture.transpose(1, 2, 0) + 1))).save(here / f"faces/{k:03d}.png")
        rows.append(f"{k:03d}.png,{k},{int(brightness[k] > np.median(brightness))}")
    (here / "faces/attributes.csv").write_text("\n".join(rows))
