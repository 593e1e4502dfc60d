"""`ganymede arithmetic, walk`, and how the pictures of one answer become files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ganymede_client import Pictures, calls
from service.cli.application import app
from service.cli.bars import bar
from service.cli.output import STANDARD, fail, note, report, write
from service.cli.remote import Metadata, Model, Out, Url, client

Format = Annotated[str | None, typer.Option("--format", help="png | webp | jpeg for files in a folder.")]
MOVING = {".gif": "image/gif", ".webp": "image/webp"}


@app.command()
def arithmetic(
    expression: Annotated[str, typer.Argument(help='For example: "mean(a1, a2, a3) - mean(b1, b2, b3) + c"')],
    model: Model = None,
    save_as: Annotated[str | None, typer.Option(help="Keep the result under this name.")] = None,
    output_format: Format = None,
    metadata: Metadata = None,
    out: Out = None,
    url: Url = None,
) -> None:
    """Add and subtract saved latents. Example: ganymede arithmetic "seed(3) + 1.5 * dir(smiling)" -m faces64 -o smile.png"""
    delivery: Any = {"output_format": output_format, "metadata": metadata}
    with client(url) as ganymede:
        deliver(ganymede.arithmetic(expression, model=model, save_as=save_as, **delivery), out, "arithmetic")


@app.command()
def walk(
    stops: Annotated[list[str], typer.Argument(help="Saved latents or seed numbers, two or more.")],
    model: Model = None,
    frames: Annotated[int, typer.Option(help="Frames in all.")] = 16,
    loop: Annotated[bool, typer.Option(help="Back to the first stop.")] = False,
    fps: Annotated[float | None, typer.Option(help="Frames a second of an animation.")] = None,
    output_format: Format = None,
    metadata: Metadata = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder, .gif or .webp (moving), .png or .jpg (a sheet), or -.")
    ] = None,
    url: Url = None,
) -> None:
    """Walk between pictures. Example: ganymede walk 1 2 3 -m faces64 --frames 48 -o walk.webp"""
    places: list[Any] = [int(stop) if stop.isdecimal() else stop for stop in stops]
    wish: Any = {"model": model, "frames": frames, "loop": loop, "fps": fps}
    wish |= {"output_format": output_format, "metadata": metadata}
    call = calls.interpolate(places, **wish)
    moving = MOVING.get("" if out is None else out.suffix.lower())
    with client(url) as ganymede, bar("walk", frames, "frames") as progress:
        if out is None or moving is None:
            deliver(ganymede.run(call), out, "walk")
        else:
            write(out, ganymede.run(calls.encoded(call, moving)))
            report({"files": [str(out)], "frames": frames}, str(out))
        progress.reach(frames)


def deliver(pictures: Pictures, out: Path | None, stem: str) -> None:
    """Write the files and say what was made; without --out a name in this folder is chosen."""
    for sentence in pictures.envelope.get("notes", []):
        note(sentence)
    seeds = [seed for seed in pictures.seeds if seed is not None]
    target = out or Path(f"{stem}-{seeds[0]}.png" if seeds else f"{stem}.png")
    written = _write(pictures, target)
    facts = {"files": [str(path) for path in written], "model": pictures.model, "seeds": seeds}
    shown = f" seed {seeds[0]}" + (f" … {seeds[-1]}" if len(seeds) > 1 else "") if seeds else ""
    line = f"{', '.join(map(str, written[:3]))}{' …' if len(written) > 3 else ''}  {pictures.model}{shown}"
    report(facts, line, to_stdout=target != STANDARD)


def _write(pictures: Pictures, target: Path) -> list[Path]:
    if target != STANDARD and (target.is_dir() or not target.suffix):
        make_folder(target)
        names = [
            f"{k:04d}-{p.seed if p.seed is not None else 'picture'}{suffix_of(p.data)}" for k, p in enumerate(pictures)
        ]
        for name, picture in zip(names, pictures, strict=True):
            write(target / name, picture.data)
        return [target / name for name in names]
    picture = pictures[0] if len(pictures) == 1 else pictures.sheet
    try:
        write(target, picture.encoded(target.suffix))
    except ValueError as error:
        fail(str(error), code=2)
    return [target]


def make_folder(folder: Path) -> None:
    """Make a folder with its parents; one that cannot be made is a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"cannot make {folder}: {error.strerror}")


def suffix_for(output_format: str | None) -> str:
    """The ending of the files that --format asks for; the server refuses what it does not write."""
    return {None: ".png", "jpeg": ".jpg"}.get(output_format, f".{output_format}")


def suffix_of(data: bytes) -> str:
    """The ending for a picture file's format."""
    if data.startswith(b"\xff\xd8"):
        return ".jpg"
    if data[8:12] == b"WEBP":
        return ".webp"
    return ".gif" if data.startswith(b"GIF8") else ".png"
