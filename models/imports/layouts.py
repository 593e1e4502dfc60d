"""Reads a generator's state dictionary as layers: DCGAN's transposed convolutions, linear with upsampling, plain MLPs.

What a state dictionary does not say (activations, strides, where a picture is enlarged) is inferred from kernel sizes
and from the gaps that layers without weights leave in the numbering of a sequence; every inference is reported.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import ImportRefusedError
from models.imports.layers import (
    Activation,
    Array,
    BatchNorm,
    Conv,
    ConvTranspose,
    Embedding,
    Layer,
    Linear,
    Network,
    Prelu,
    Reshape,
    Upsample,
)
from models.imports.options import ACTIVATIONS, Options
from models.imports.report import Report
from models.imports.weights import Module

Geometry = tuple[int, int, int]
TRANSPOSED: dict[int, tuple[Geometry, ...]] = {
    1: ((1, 0, 0), (1, 2, 0)),
    2: ((2, 0, 0), (1, 0, 0)),
    3: ((2, 1, 1), (1, 1, 0), (2, 0, 0), (1, 0, 0)),
    4: ((2, 1, 0), (1, 0, 0), (2, 0, 0)),
    5: ((2, 2, 1), (1, 2, 0), (3, 1, 0), (1, 0, 0)),
    6: ((2, 2, 0), (1, 0, 0)),
    7: ((1, 3, 0), (2, 3, 1), (1, 0, 0)),
    8: ((4, 2, 0), (2, 3, 0), (1, 0, 0)),
}
"""(stride, padding, extra) by kernel size, the usual first."""
ODD_ONE_OUT: Geometry = (3, 1, 0)
"""A last kernel of 5 after kernels of 4: Lornatang's generator of 96 pixels."""
MOST_TRIED = 20_000
HELP = "; export the generator to ONNX and import that, or name its class with --class my_module:Generator"


@dataclass(frozen=True)
class Style:
    """What the layers without weights are. `first_epsilon` is that of a BatchNorm right after the first linear layer."""

    name: str
    activation: Activation
    last: Activation
    epsilon: float
    first_epsilon: float


@dataclass(frozen=True)
class Block:
    """A layer with weights, what normalises it, and what lies before it: `gap` layers without weights, None if not known."""

    module: Module
    norm: Module | None
    prelu: Module | None
    gap: int | None
    leading: int
    early: bool
    """Whether an activation lies between the weights and the norm."""

    @property
    def weight(self) -> Array:
        """The weights, 2 or 4 axes."""
        return self.module.tensors["weight"]


def network_of(modules: Sequence[Module], options: Options, report: Report) -> Network:
    """The network of a state dictionary. Raises ImportRefusedError that names the layer that is not understood."""
    style = _style(modules, options, report)
    label, rest = _label_table(modules)
    blocks = _blocks(rest)
    first = blocks[0].weight
    latent = first.shape[1] if first.ndim == 2 else first.shape[0]
    embedding = None
    if label is not None:
        multiplied = first.ndim != 2 or label.shape[1] == latent
        embedding = Embedding(label, multiplied)
        latent = latent if multiplied else latent - label.shape[1]
        report.add(
            "label",
            f"embedding of {len(label)} classes, {'multiplied with' if multiplied else 'put before'} the latent",
            "assumed",
        )
    if latent < 1:
        raise ImportRefusedError("the first layer takes no latent" + HELP)
    if first.ndim == 4:
        report.add("first layer", f"transposed convolution of a {latent}x1x1 latent", "assumed")
    return Network(latent, embedding, tuple(_layers(blocks, style, options, report)))


def _style(modules: Sequence[Module], options: Options, report: Report) -> Style:
    paths = [module.path for module in modules]
    gan_zoo = any(path.startswith("conv_blocks.") for path in paths) and any(path.startswith("l1.") for path in paths)
    flat = all(module.tensors["weight"].ndim < 3 for module in modules if "weight" in module.tensors)
    ours = gan_zoo or (flat and any(path.startswith("model.") for path in paths))
    name = "PyTorch-GAN" if ours else "DCGAN"
    activation = _activation(options.activation or ("leaky:0.2" if ours or flat else "relu"))
    epsilon = options.eps or (0.8 if ours else 1e-5)
    style = Style(name, activation, _activation(options.last or "tanh"), epsilon, options.eps or 1e-5)
    report.add("layout", f"{name} family", "file")
    report.add(
        "activations",
        f"{options.activation or activation.kind}, {options.last or 'tanh'} last",
        "said" if options.activation else "assumed",
    )
    if any("running_mean" in module.tensors for module in modules):
        note = " (0.8, as PyTorch-GAN has it)" if ours and options.eps is None else ""
        report.add("BatchNorm epsilon", f"{epsilon:g}{note}", "said" if options.eps else "assumed")
    return style


def _activation(text: str) -> Activation:
    kind, _, slope = text.partition(":")
    try:
        if kind in ACTIVATIONS:
            return Activation(kind, float(slope or 0.2))
    except ValueError:
        pass
    raise ImportRefusedError(
        f"activation {text!r} is not known; there are {', '.join(ACTIVATIONS)}, and leaky:0.2 for a slope"
    )


def _label_table(modules: Sequence[Module]) -> tuple[Array | None, list[Module]]:
    """The embedding of labels, if a module's name says it is one, and the other modules."""
    found = [
        m for m in modules if "emb" in m.path.lower() and set(m.tensors) == {"weight"} and m.tensors["weight"].ndim == 2
    ]
    if len(found) > 1:
        raise ImportRefusedError(f"there are several embeddings: {', '.join(m.path for m in found)}{HELP}")
    return (found[0].tensors["weight"] if found else None), [m for m in modules if m not in found]


def _blocks(modules: Sequence[Module]) -> list[Block]:
    blocks: list[Block] = []
    previous: Module | None = None
    for module in modules:
        if _is_norm(module) or _is_prelu(module):
            if not blocks:
                raise ImportRefusedError(f"{module.path} comes before any layer{HELP}")
            blocks[-1] = _joined(blocks[-1], module, previous)
        else:
            _check_layer(module)
            blocks.append(Block(module, None, None, _gap(previous, module), module.index or 0, False))
        previous = module
    if not blocks:
        raise ImportRefusedError("there is no layer with weights" + HELP)
    return blocks


def _joined(block: Block, module: Module, previous: Module | None) -> Block:
    if _is_prelu(module):
        return Block(block.module, block.norm, module, block.gap, block.leading, block.early)
    if block.norm is not None:
        raise ImportRefusedError(f"{module.path} normalises a second time{HELP}")
    early = bool(_gap(previous, module)) or block.prelu is not None
    return Block(block.module, module, block.prelu, block.gap, block.leading, early)


def _is_norm(module: Module) -> bool:
    return {"running_mean", "running_var"} <= set(module.tensors)


def _is_prelu(module: Module) -> bool:
    return set(module.tensors) == {"weight"} and module.tensors["weight"].ndim == 1


def _check_layer(module: Module) -> None:
    weight = module.tensors.get("weight")
    extra = sorted(set(module.tensors) - {"weight", "bias"})
    if weight is None or extra or weight.ndim not in (2, 4):
        name = ".".join(part for part in (module.path, (extra or sorted(module.tensors))[0]) if part)
        raise ImportRefusedError(
            f"{name!r} belongs to no layer of the DCGAN family (linear, convolution, BatchNorm){HELP}"
        )


def _gap(before: Module | None, module: Module) -> int | None:
    """How many layers without weights lie between two neighbours of one sequence; None when they are in different ones."""
    if before is None or before.parent != module.parent or before.index is None or module.index is None:
        return None
    return module.index - before.index - 1


class Walk:
    """The size of what flows, while layers are put in a row with one choice of geometry each."""

    def __init__(self, style: Style, size: tuple[int, int] | None) -> None:
        self.style, self.size = style, size
        self.layers: list[Layer] = []
        self.channels = self.height = self.width = 0

    def shape(self, channels: int, height: int, width: int) -> None:
        """Note what flows now."""
        self.channels, self.height, self.width = channels, height, width

    def side(self, change: "Change") -> None:
        """Apply a change of the sides."""
        self.height, self.width = change(self.height), change(self.width)


@dataclass(frozen=True)
class Change:
    """Side in, side out."""

    gain: int
    shift: int

    def __call__(self, side: int) -> int:
        return side * self.gain + self.shift


def _layers(blocks: list[Block], style: Style, options: Options, report: Report) -> list[Layer]:
    """All layers, with the usual geometry, or the one nearest to it that gives the size the user said."""
    choices = [_choices(blocks, k) for k in range(len(blocks))]
    tried = itertools.islice(itertools.product(*(range(len(one)) for one in choices)), MOST_TRIED)
    orders = sorted(tried, key=sum) if options.size is not None else [tuple(0 for _ in choices)]
    for order in orders:
        walk = Walk(style, options.size)
        _go(walk, blocks, [choices[k][which] for k, which in enumerate(order)])
        if options.size in (None, (walk.height, walk.width)) or not walk.height:
            _tell(walk, blocks, [choices[k][which] for k, which in enumerate(order)], options, report)
            return walk.layers
    height, width = options.size or (0, 0)
    raise ImportRefusedError(f"no usual strides and paddings of these kernels give {height}x{width} pixels{HELP}")


@dataclass(frozen=True)
class Choice:
    """How one block is computed: `enlarge` first, then its weights `transposed` or not with this geometry."""

    enlarge: bool
    transposed: bool
    geometry: Geometry


def _choices(blocks: list[Block], k: int) -> list[Choice]:
    """The possible readings of one block, the likeliest first."""
    block, weight = blocks[k], blocks[k].weight
    if weight.ndim == 2:
        return [Choice(False, False, (1, 0, 0))]
    kernel = weight.shape[2]
    if k == 0:
        return [Choice(False, True, (1, 0, 0))]
    if _is_transposed(blocks, k):
        usual = TRANSPOSED.get(kernel, ((1, 0, 0),))
        last = (
            k == len(blocks) - 1
            and kernel == 5
            and all(one.weight.shape[2:] == (4, 4) for one in blocks[:k] if one.weight.ndim == 4)
        )
        return [Choice(False, True, one) for one in ((ODD_ONE_OUT, *usual) if last and k > 1 else usual)]
    enlarged = _is_enlarged(blocks, k)
    padded, bare = (1, kernel // 2, 0), (1, 0, 0)
    order = [Choice(enlarged, False, padded), Choice(not enlarged, False, padded), Choice(enlarged, False, bare)]
    return [one for one in order if not (one.enlarge and block.gap == 0)]


def _is_transposed(blocks: list[Block], k: int) -> bool:
    """Whether a weight [a, b, kh, kw] takes a channels (transposed) or b; where both fit, even kernels are transposed."""
    first, second, kernel, _ = blocks[k].weight.shape
    given = _given_channels(blocks, k)
    if given is not None and first != second:
        return given == first
    name = blocks[k].module.path.lower()
    if any(word in name for word in ("deconv", "convt", "tconv", "trans")):
        return True
    return kernel % 2 == 0


def _given_channels(blocks: list[Block], k: int) -> int | None:
    """Channels of what the block before gives; None when that is a linear layer without a norm that would say so."""
    before = blocks[k - 1]
    norm = before.norm
    if norm is not None:
        count = len(norm.tensors["running_mean"])
        return count if before.weight.ndim == 4 or count != before.weight.shape[0] else None
    if before.weight.ndim == 2:
        return None
    return before.weight.shape[1 if _is_transposed(blocks, k - 1) or k == 1 else 0]


def _is_enlarged(blocks: list[Block], k: int) -> bool:
    """Whether the picture is enlarged before an ordinary convolution: told by the gap, else not before the last."""
    block, before = blocks[k], blocks[k - 1]
    if block.weight.shape[2] == 1:
        return False
    if block.gap is not None:
        return block.gap >= 2 or (block.gap == 1 and _is_first_picture(before))
    return block.leading > 0 or k < len(blocks) - 1


def _is_first_picture(block: Block) -> bool:
    """A linear layer whose norm already sees a picture: PyTorch-GAN has no activation there."""
    return (
        block.norm is not None
        and block.weight.ndim == 2
        and len(block.norm.tensors["running_mean"]) != block.weight.shape[0]
    )


def _go(walk: Walk, blocks: list[Block], choices: list[Choice]) -> None:
    for k, (block, choice) in enumerate(zip(blocks, choices, strict=True)):
        if block.weight.ndim == 4:
            _enter_picture(walk, blocks, k, choice)
            if choice.enlarge:
                walk.layers.append(Upsample())
                walk.side(Change(2, 0))
        _weigh(walk, block, choice)
        _finish(walk, blocks, k, choices)


def _enter_picture(walk: Walk, blocks: list[Block], k: int, choice: Choice) -> None:
    """Numbers become a picture before the first convolution."""
    if walk.height:
        return
    wanted = blocks[k].weight.shape[0 if choice.transposed else 1]
    if k == 0:
        walk.layers.append(Reshape(wanted, 1, 1))
        walk.shape(wanted, 1, 1)
        return
    _as_picture(walk, walk.channels, wanted)


def _as_picture(walk: Walk, numbers: int, channels: int) -> None:
    area, rest = divmod(numbers, channels)
    height, width = _sides(area, walk.size)
    if rest or height * width != area:
        raise ImportRefusedError(f"{numbers} numbers are no picture of {channels} channels{HELP}")
    walk.layers.append(Reshape(channels, height, width))
    walk.shape(channels, height, width)


def _sides(area: int, size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of `area` pixels in the shape of the size that was said; a square without one."""
    ratio = size[0] / size[1] if size else 1.0
    height = max(1, round(math.sqrt(area * ratio)))
    return height, area // height


def _weigh(walk: Walk, block: Block, choice: Choice) -> None:
    weight, bias = block.weight, block.module.tensors.get("bias")
    stride, padding, extra = choice.geometry
    if weight.ndim == 2:
        if walk.height:
            raise ImportRefusedError(f"{block.module.path} is a linear layer after a convolution{HELP}")
        walk.layers.append(Linear(weight, bias))
        walk.channels = weight.shape[0]
        return
    taken, given = (weight.shape[0], weight.shape[1]) if choice.transposed else (weight.shape[1], weight.shape[0])
    if taken != walk.channels:
        raise ImportRefusedError(f"{block.module.path} takes {taken} channels but is given {walk.channels}{HELP}")
    if choice.transposed:
        walk.layers.append(ConvTranspose(weight, bias, stride, padding, extra))
    else:
        walk.layers.append(Conv(weight, bias, padding))
    sides = [
        (side - 1) * stride - 2 * padding + kernel + extra if choice.transposed else side + 2 * padding - kernel + 1
        for side, kernel in zip((walk.height, walk.width), weight.shape[2:], strict=True)
    ]
    walk.shape(given, sides[0], sides[1])


def _finish(walk: Walk, blocks: list[Block], k: int, choices: list[Choice]) -> None:
    """Norm and activation after a block's weights."""
    block, last = blocks[k], k == len(blocks) - 1
    active: Layer = Prelu(block.prelu.tensors["weight"]) if block.prelu else walk.style.activation
    if block.norm is not None:
        if block.early:
            walk.layers.append(active)
        _normalise(walk, block, blocks[k + 1] if not last else None)
    if last:
        walk.layers.append(walk.style.last)
    elif not block.early and _is_activated(block, blocks[k + 1], choices[k + 1]):
        walk.layers.append(active)
    walk.layers[:] = [layer for layer in walk.layers if layer != Activation("none")]


def _is_activated(block: Block, following: Block, choice: Choice) -> bool:
    if block.prelu is not None:
        return True
    if following.gap is None:
        return not _is_first_picture(block)
    return following.gap >= (2 if choice.enlarge else 1)


def _normalise(walk: Walk, block: Block, following: Block | None) -> None:
    assert block.norm is not None
    tensors = block.norm.tensors
    count = len(tensors["running_mean"])
    first = _is_first_picture(block)
    if first:
        _as_picture(walk, walk.channels, count)
    if count != walk.channels:
        raise ImportRefusedError(f"{block.norm.path} normalises {count} channels but is given {walk.channels}{HELP}")
    ones, zeros = np.ones(count, np.float32), np.zeros(count, np.float32)
    epsilon = walk.style.first_epsilon if first else walk.style.epsilon
    mean, variance = tensors["running_mean"], tensors["running_var"]
    walk.layers.append(BatchNorm(tensors.get("weight", ones), tensors.get("bias", zeros), mean, variance, epsilon))


def _tell(walk: Walk, blocks: list[Block], choices: list[Choice], options: Options, report: Report) -> None:
    sizes = [
        f"{c.geometry[0]}/{c.geometry[1]}" + (f"+{c.geometry[2]}" if c.geometry[2] else "")
        for b, c in zip(blocks, choices, strict=True)
        if c.transposed
    ]
    ups = sum(choice.enlarge for choice in choices)
    how = "said" if options.size else "assumed"
    if sizes:
        report.add("strides/paddings", ", ".join(sizes), "assumed")
    if ups:
        report.add("enlargements", f"{ups} by nearest neighbour, before convolutions", "assumed")
    if walk.height:
        report.add("size", f"{walk.height}x{walk.width}", how)
