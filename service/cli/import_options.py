"""What a user may say of a foreign file, once for every command that imports: `ganymede import` and `ganymede serve FILE`."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from models.imports.options import Options
from service.cli.output import fail


def _said(
    name: Annotated[str | None, typer.Option(help="Name of the bundle (the file's).")] = None,
    kind: Annotated[
        str | None, typer.Option(help="generate (latents to pictures) or upsample (picture to picture).")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Height x width, such as 64 or 64x96.")] = None,
    latent: Annotated[int | None, typer.Option(help="Numbers in a latent.")] = None,
    law: Annotated[str | None, typer.Option(help="standard_normal (or normal) or uniform.")] = None,
    labels: Annotated[str | None, typer.Option(help="File with a class name a line, or names with commas.")] = None,
    range_: Annotated[str | None, typer.Option("--range", help="Values of black and white, such as 0,1.")] = None,
    layout: Annotated[str | None, typer.Option(help="nchw or nhwc.")] = None,
    input_: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=latent|one-hot|index|VALUE; again for more.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Name of the output that is the picture.")] = None,
    activation: Annotated[str | None, typer.Option(help="Between layers of a checkpoint: relu, leaky:0.2, …")] = None,
    last: Annotated[str | None, typer.Option(help="After the last layer of a checkpoint: tanh, sigmoid, none.")] = None,
    eps: Annotated[float | None, typer.Option(help="BatchNorm's epsilon in a checkpoint.")] = None,
    join: Annotated[
        str | None, typer.Option(help="How a checkpoint's label joins the latent: before, after, multiplied.")
    ] = None,
    class_: Annotated[str | None, typer.Option("--class", help="module:Class that builds it; runs your code.")] = None,
    init: Annotated[list[str] | None, typer.Option(help="Argument of that class, NAME=VALUE; again for more.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    dataset: Annotated[str | None, typer.Option(help="What it was trained on.")] = None,
    dataset_licence: Annotated[str | None, typer.Option(help="Licence of that data.")] = None,
    description: Annotated[str | None, typer.Option(help="One sentence for people.")] = None,
) -> None:
    """The options, for their signature alone."""


SHARED = inspect.signature(_said).parameters


def with_import_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of an import, after its own; it gets what was said as `options`."""

    def run(**given: Any) -> None:
        said = {name.rstrip("_") if name != "class_" else name: given.pop(name) for name in SHARED}
        command(**given, options=_options(said))

    own = [one for name, one in inspect.signature(command).parameters.items() if name != "options"]
    both = [*own, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in SHARED.values())]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {one.name: one.annotation for one in both}
    run.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]
    return run


def _options(said: dict[str, Any]) -> Options:
    said |= {"input": _pairs(said["input"]), "init": _pairs(said["init"])}
    try:
        return Options.model_validate({key: value for key, value in said.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        fail(f"--{'.'.join(str(part) for part in first['loc']).rstrip('_')}: {first['msg']}", code=2)
    except OSError as error:
        fail(str(error), code=2)


def _pairs(words: list[str] | None) -> dict[str, str] | None:
    if not words:
        return None
    for word in words:
        if "=" not in word:
            fail(f"{word!r} must be NAME=VALUE", code=2)
    return dict(word.split("=", 1) for word in words)
