"""`ganymede upsample`: pictures sharpened, one or whole folders."""

import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from ganymede_client.options import Upsample
from service.cli.application import app
from service.cli.folders import plan, run
from service.cli.many import PICTURES, Item
from service.cli.output import fail, note
from service.cli.pictures import Format, deliver, suffix_for
from service.cli.remote import Again, Files, Jobs, Metadata, Model, Out, Recursive, Url, client
from service.cli.sample import Seed


@app.command()
def upsample(
    files: Files,
    model: Model = None,
    factor: Annotated[int | None, typer.Option(help="2, 4 or 8 for an any-size bundle.")] = None,
    seed: Seed = None,
    noise: Annotated[float | None, typer.Option(help="0 gives the mean detail.")] = None,
    faithful: Annotated[bool, typer.Option(help="Scaled back down, the result is the input.")] = False,
    variants: Annotated[int | None, typer.Option(help="So many seeds (one file only).")] = None,
    output_format: Format = None,
    metadata: Metadata = None,
    out: Out = None,
    recursive: Recursive = False,
    jobs: Jobs = 2,
    again: Again = False,
    url: Url = None,
) -> None:
    """Sharpen pictures; detail is invented, not recovered. Example: ganymede upsample photo.jpg --factor 4 -o big.png

    Folders: ganymede upsample pics/ -r -o sharp/ keeps names and sub-folders, skips what is there, goes on after an interrupt.
    """
    options: Any = Upsample(
        model=model, factor=factor, seed=seed, noise=noise, variants=variants, faithful=faithful or None
    )
    options |= {"metadata": metadata, "output_format": output_format}
    chosen = plan(files, out, PICTURES, suffix_for(output_format), "sharpened", recursive=recursive)
    said = _Once()
    with client(url, retries=30) as ganymede:

        def make(item: Item, target: Path) -> tuple[bytes, dict[str, Any]]:
            made = ganymede.upsample(item.data(), **options)
            said.notes(made.envelope.get("notes", []))
            return made[0].encoded(target.suffix), {
                "model": made.model,
                "seed": made[0].seed,
            }

        if (variants or 1) > 1:
            if len(chosen.items) > 1:
                fail("--variants takes one file", code=2)
            deliver(ganymede.upsample(chosen.items[0].data(), **options), out, "sharpened")
            return
        run(chosen, make, what="upsample", jobs=jobs, again=again)


class _Once:
    """Notes are said once, however many answers carry them."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def notes(self, sentences: list[str]) -> None:
        with self._lock:
            for sentence in sentences:
                if sentence not in self._said:
                    self._said.add(sentence)
                    note(sentence)
