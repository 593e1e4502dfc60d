"""What the layers without weights are: a state dictionary does not say, so the family's habit is assumed and reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import ImportRefusedError
from models.imports.checkpoints.layers import Activation
from models.imports.checkpoints.weights import Module
from models.imports.options import ACTIVATIONS, Options
from models.imports.report import Report


@dataclass(frozen=True)
class Style:
    """`activation` between layers, `last` after the last; `first_epsilon` is that of a BatchNorm right after linear."""

    name: str
    activation: Activation
    last: Activation
    epsilon: float
    first_epsilon: float


def style_of(modules: Sequence[Module], options: Options, report: Report) -> Style:
    """PyTorch-GAN's habits (leaky ReLU of 0.2, BatchNorm with 0.8 where others have epsilon) or DCGAN's."""
    zoo, flat = _is_pytorch_gan(modules), _is_flat(modules)
    activation = activation_of(options.activation or ("leaky:0.2" if zoo or flat else "relu"))
    epsilon = options.eps or (0.8 if zoo else 1e-5)
    style = Style(
        "PyTorch-GAN" if zoo else "DCGAN",
        activation,
        activation_of(options.last or "tanh"),
        epsilon,
        options.eps or 1e-5,
    )
    report.add("layout", f"{style.name} family", "file")
    named = f"{activation.kind} {activation.slope:g}" if activation.kind == "leaky" else activation.kind
    report.add("activations", f"{named}, {style.last.kind} last", "said" if options.activation else "assumed")
    if any("running_mean" in module.tensors for module in modules):
        report.add("BatchNorm epsilon", f"{epsilon:g}", "said" if options.eps else "assumed")
    return style


def _is_pytorch_gan(modules: Sequence[Module]) -> bool:
    """`l1` and `conv_blocks`, or an MLP called `model` whose norms it gives 0.8."""
    paths = [module.path for module in modules]
    convolutional = any(path.startswith("conv_blocks.") for path in paths) and any(
        path.startswith("l1.") for path in paths
    )
    return convolutional or (_is_flat(modules) and any(path.startswith("model.") for path in paths))


def _is_flat(modules: Sequence[Module]) -> bool:
    return all(module.tensors["weight"].ndim < 3 for module in modules if "weight" in module.tensors)


def activation_of(text: str) -> Activation:
    """`relu`, `leaky:0.2`, … Raises ImportRefusedError for others."""
    kind, _, slope = text.partition(":")
    try:
        if kind in ACTIVATIONS:
            return Activation(kind, float(slope or 0.2))
    except ValueError:
        pass
    known = ", ".join(ACTIVATIONS)
    raise ImportRefusedError(f"activation {text!r} is not known; there are {known}, and leaky:0.2 for a slope")
