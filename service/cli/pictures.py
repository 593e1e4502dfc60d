"""`ganymede sample, upsample, arithmetic, walk`: pictures from a running server into files."""

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from ganymede_client import Pictures
from ganymede_client.options import Upsample
from service.cli.info import recipe_of_file
from service.cli.remote import DEFAULT_URL, AsJson, Model, Url, client, note, read, show, write
from service.cli.serve import fail

Out = Annotated[Path | None, typer.Option("--out", "-o", help="File (a sheet of several) or folder (one file each).")]
Seed = Annotated[int | None, typer.Option("--seed", "-s", help="First seed; drawn at random and reported when absent.")]


def sample(
    model: Model = None,
    n: Annotated[int, typer.Option("-n", help="How many pictures.")] = 1,
    seed: Seed = None,
    label: Annotated[str | None, typer.Option(help="Class name or number.")] = None,
    truncation: Annotated[float | None, typer.Option(help="Below 1: more typical pictures.")] = None,
    latent: Annotated[list[str] | None, typer.Option(help="A saved latent; may be given again.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="A Ganymede PNG: make it again.")] = None,
    save_as: Annotated[str | None, typer.Option(help="Keep the latent under this name.")] = None,
    out: Out = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Make pictures. Example: ganymede sample -m faces64 -n 16 --seed 7 -o faces.png"""
    request: dict[str, Any] = {
        "model": model,
        "n": None if latent else n,
        "seed": seed,
        "label": label,
        "truncation": truncation,
    }
    request |= {"latents": latent or None, "save_as": save_as}
    if source is not None:
        request = again(recipe_of_file(source))
    with client(url) as ganymede:
        deliver(ganymede.sample(**request), out, "sample", as_json)


def upsample(
    picture: Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, GIF, BMP or TIFF.")],
    model: Model = None,
    factor: Annotated[int | None, typer.Option(help="2, 4 or 8 for an any-size bundle.")] = None,
    seed: Seed = None,
    noise: Annotated[float | None, typer.Option(help="0 gives the mean detail.")] = None,
    faithful: Annotated[bool, typer.Option(help="Scaled back down, the result is the input.")] = False,
    variants: Annotated[int | None, typer.Option(help="So many seeds.")] = None,
    out: Out = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Sharpen a picture; detail is invented, not recovered. Example: ganymede upsample photo.jpg --factor 4 -o big.png"""
    options = Upsample(model=model, factor=factor, seed=seed, noise=noise, variants=variants)
    options["faithful"] = faithful or None
    with client(url) as ganymede:
        made = ganymede.upsample(read(picture), **options)
        deliver(made, out, f"{picture.stem}-sharpened", as_json)


def arithmetic(
    expression: Annotated[str, typer.Argument(help='For example: "mean(a1, a2, a3) - mean(b1, b2, b3) + c"')],
    model: Model = None,
    save_as: Annotated[str | None, typer.Option(help="Keep the result under this name.")] = None,
    out: Out = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Add and subtract saved latents. Example: ganymede arithmetic "seed(3) + 1.5 * dir(smiling)" -m faces64 -o smile.png"""
    with client(url) as ganymede:
        deliver(ganymede.arithmetic(expression, model=model, save_as=save_as), out, "arithmetic", as_json)


def walk(
    stops: Annotated[list[str], typer.Argument(help="Saved latents or seed numbers, two or more.")],
    model: Model = None,
    frames: Annotated[int, typer.Option(help="Frames in all.")] = 16,
    loop: Annotated[bool, typer.Option(help="Back to the first stop.")] = False,
    out: Out = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Walk between pictures. Example: ganymede walk 1 2 3 -m faces64 --frames 48 -o frames/"""
    places: list[Any] = [int(stop) if stop.isdigit() else stop for stop in stops]
    with client(url) as ganymede:
        made = ganymede.interpolate(places, model=model, frames=frames, loop=loop)
        deliver(made, out, "walk", as_json)


def again(recipe: dict[str, Any]) -> dict[str, Any]:
    """The request that makes a recipe's picture. Fails with a sentence for recipes that sample cannot follow."""
    import numpy

    request: dict[str, Any] = {k: recipe[k] for k in ("model", "label", "truncation", "scale") if k in recipe}
    if isinstance(recipe.get("items"), list):
        seeds = [item.get("seed") for item in recipe["items"]]
        if None in seeds:
            fail("this sheet was not made from seeds alone; take its pictures one by one")
        return {**request, "seeds": seeds}
    if "seed" in recipe:
        return {**request, "seed": recipe["seed"]}
    if "latent" in recipe:
        values = numpy.frombuffer(base64.b64decode(recipe["latent"]), "<f4").tolist()
        return {**request, "latents": [{"values": values}]}
    fail("the recipe names neither a seed nor a latent")


def deliver(pictures: Pictures, out: Path | None, stem: str, as_json: bool) -> None:
    """Write the files and say what was made; without --out a name in this folder is chosen."""
    for sentence in pictures.envelope.get("notes", []):
        note(sentence)
    seeds = [seed for seed in pictures.seeds if seed is not None]
    target = out or Path(f"{stem}-{seeds[0]}.png" if seeds else f"{stem}.png")
    written = _write(pictures, target)
    facts = {"files": [str(path) for path in written], "model": pictures.model, "seeds": seeds}
    shown = f" seed {seeds[0]}" + (f" … {seeds[-1]}" if len(seeds) > 1 else "") if seeds else ""
    show(
        facts, as_json, f"{', '.join(map(str, written[:3]))}{' …' if len(written) > 3 else ''}  {pictures.model}{shown}"
    )


def _write(pictures: Pictures, target: Path) -> list[Path]:
    if target.is_dir() or not target.suffix:
        target.mkdir(parents=True, exist_ok=True)
        names = [f"{k:04d}-{p.seed if p.seed is not None else 'picture'}.png" for k, p in enumerate(pictures)]
        for name, picture in zip(names, pictures, strict=True):
            write(target / name, picture.data)
        return [target / name for name in names]
    picture = pictures[0] if len(pictures) == 1 else pictures.sheet
    write(target, picture.encoded(target.suffix))
    return [target]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (sample, upsample, arithmetic, walk):
        app.command()(command)
