"""Reads a generator's state dictionary as a network: DCGAN's transposed convolutions, linear with upsampling, plain MLPs.

What a state dictionary does not say is inferred from kernel sizes and from the gaps that layers without weights leave in
the numbering of a sequence; every inference is reported.
"""

import itertools
from collections.abc import Sequence

from models.errors import ImportRefusedError
from models.imports.checkpoints.blocks import HELP, Block, blocks_of, label_table
from models.imports.checkpoints.geometry import Choice, choices_of
from models.imports.checkpoints.layers import Array, Embedding, Network
from models.imports.checkpoints.style import Style, style_of
from models.imports.checkpoints.walk import Walk
from models.imports.checkpoints.weights import Module
from models.imports.options import Join, Options
from models.imports.report import Report

MOST_TRIED = 20_000
"""Combinations of geometries that are tried for a size."""


def network_of(modules: Sequence[Module], options: Options, report: Report) -> Network:
    """The network of a state dictionary. Raises ImportRefusedError that names the layer that is not understood."""
    style = style_of(modules, options, report)
    table, rest = label_table(modules)
    blocks = blocks_of(rest)
    latent, embedding = _entry(blocks[0], table, options, report)
    walk, choices = _sized(blocks, style, options)
    _tell(walk, choices, options, report)
    return Network(latent, embedding, tuple(walk.layers))


def _entry(first: Block, table: Array | None, options: Options, report: Report) -> tuple[int, Embedding | None]:
    """How many numbers the latent has, and how the label joins it: as was said, else multiplied where only that fits.

    Of what is put beside the latent, linear generators usually have the label first, convolutional ones last.
    """
    taken = int(first.weight.shape[1 if first.weight.ndim == 2 else 0])
    if table is None:
        return taken, None
    beside: Join = "before" if first.weight.ndim == 2 else "after"
    join = options.join or ("multiplied" if table.shape[1] == taken else beside)
    report.add(
        "label joins", f"embedding of {len(table)} classes, {join} the latent", "said" if options.join else "assumed"
    )
    latent = taken if join == "multiplied" else taken - table.shape[1]
    if latent < 1 or (join == "multiplied" and table.shape[1] != taken):
        raise ImportRefusedError(
            f"a label of {table.shape[1]} numbers cannot be {join} a latent where {taken} go in{HELP}"
        )
    return latent, Embedding(table, join)


def _sized(blocks: Sequence[Block], style: Style, options: Options) -> tuple[Walk, list[Choice]]:
    """The usual geometry, or the one nearest to it that gives the size the user said."""
    possible = [choices_of(blocks, k) for k in range(len(blocks))]
    numbers = itertools.islice(itertools.product(*(range(len(one)) for one in possible)), MOST_TRIED)
    orders = sorted(numbers, key=sum) if options.size is not None else [(0,) * len(possible)]
    for order in orders:
        chosen = [possible[k][which] for k, which in enumerate(order)]
        walk = Walk(blocks, chosen, style, options.size).go()
        if options.size in (None, (walk.height, walk.width)) or not walk.height:
            return walk, chosen
    height, width = options.size or (0, 0)
    raise ImportRefusedError(f"no usual strides and paddings of these kernels give {height}x{width} pixels{HELP}")


def _tell(walk: Walk, choices: Sequence[Choice], options: Options, report: Report) -> None:
    strides = ["/".join(map(str, choice.geometry)) for choice in choices if choice.transposed]
    enlargements = sum(choice.enlarge for choice in choices)
    if strides:
        report.add("stride/padding/extra", ", ".join(strides), "assumed")
    if enlargements:
        report.add("enlargements", f"{enlargements} by nearest neighbour, before convolutions", "assumed")
    if walk.height:
        report.add("size", f"{walk.height}x{walk.width}", "said" if options.size else "assumed")
