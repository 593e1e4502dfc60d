"""The one file of imports that knows torch: opens checkpoints and TorchScript, and computes their pictures as the original.

Torch is imported when it is first needed; it comes with ganymede[train].
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ImportRefusedError, RuntimeUnavailableError
from models.imports.checkpoints.layers import (
    Activation,
    BatchNorm,
    Conv,
    ConvTranspose,
    Layer,
    Linear,
    Network,
    Prelu,
    Reshape,
    Upsample,
)
from models.imports.guards import pickled_globals
from models.runtimes.torchscript import import_torch

DEEPEST = 6
ACTIVATIONS = {
    "relu": "ReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
}


def require_torch(what: str) -> Any:
    """The torch module. Raises RuntimeUnavailableError saying what needs it."""
    try:
        return import_torch()
    except RuntimeUnavailableError:
        raise RuntimeUnavailableError(
            f"{what} can only be opened with PyTorch; pip install 'ganymede[train]'"
        ) from None


def read_checkpoint(path: Path, trusted: Sequence[Any] = ()) -> dict[str, Any]:
    """Nested dictionaries of arrays, loaded with `weights_only`: nothing in the file is run.

    `trusted`: classes the user vouches for; a whole model of one gives its state dictionary.

    Raises ImportRefusedError for a file that holds anything else or is damaged.
    """
    torch = require_torch("a PyTorch checkpoint")
    try:
        with torch.serialization.safe_globals(list(trusted)):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ImportRefusedError(f"{path.name} cannot be opened as weights: {first_line(error)}") from None
    tree = _arrays(torch, loaded.state_dict() if isinstance(loaded, torch.nn.Module) else loaded, 0)
    if not isinstance(tree, dict):
        raise ImportRefusedError(f"{path.name} holds no dictionary of weights but a {type(loaded).__name__}")
    return tree


def layers_named(path: Path) -> list[Any]:
    """PyTorch's own layer classes that a pickled model names: they hold weights and run nothing when they are loaded."""
    torch = require_torch("a whole model")
    found: list[Any] = [set]
    for name in pickled_globals(path):
        module, _, attribute = name.partition(" ")
        if module.startswith("torch.nn.modules."):
            found.append(getattr(torch.nn, attribute, None))
    return [one for one in found if one is not None]


def _arrays(torch: Any, value: Any, depth: int) -> Any:
    """Tensors as arrays, dictionaries kept, everything else dropped."""
    if isinstance(value, torch.Tensor):
        plain = value.detach()
        return (plain.float() if plain.is_floating_point() else plain).contiguous().numpy()
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {str(key): inner for key, one in value.items() if (inner := _arrays(torch, one, depth + 1)) is not None}
    return None


def first_line(error: Exception) -> str:
    """The first line of a library's error."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0][:200]


class TorchNetwork:
    """The network of a checkpoint in PyTorch's own layers: what the written graph is compared with."""

    def __init__(self, network: Network) -> None:
        self._torch = require_torch("a checkpoint's network")
        self.module = build_module(self._torch, network)

    def __call__(self, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """What the last layer gives for `z` (and one-hot `label`)."""
        with self._torch.inference_mode():
            given = [
                self._torch.from_numpy(np.ascontiguousarray(feed[name])) for name in ("z", "label") if name in feed
            ]
            return np.asarray(self.module(*given).numpy())


def build_module(torch: Any, network: Network) -> Any:
    """An nn.Module of PyTorch's layers with the network's weights, in eval mode: (z[, label]) -> pictures."""

    class Generator(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(*_made(torch, network.layers))
            table = None if network.embedding is None else torch.from_numpy(network.embedding.table.copy())
            self.register_buffer("table", table)

        def forward(self, z: Any, label: Any = None) -> Any:
            if network.embedding is not None:
                row = label @ self.table
                both = [z, row] if network.embedding.join == "after" else [row, z]
                z = row * z if network.embedding.join == "multiplied" else torch.cat(both, 1)
            return self.layers(z)

    return Generator().eval()


def _made(torch: Any, layers: tuple[Layer, ...]) -> list[Any]:
    made, pictures = [], False
    for layer in layers:
        pictures = pictures or isinstance(layer, Reshape)
        made.append(_norm(torch, layer, pictures) if isinstance(layer, BatchNorm) else _layer(torch, layer))
    return made


def _layer(torch: Any, layer: Layer) -> Any:
    nn = torch.nn
    match layer:
        case Linear(weight, bias):
            return _filled(torch, nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None), layer)
        case Conv(weight, bias, padding):
            outer, inner, *kernel = weight.shape
            return _filled(torch, nn.Conv2d(inner, outer, kernel, padding=padding, bias=bias is not None), layer)
        case ConvTranspose(weight, bias, stride, padding, extra):
            inner, outer, *kernel = weight.shape
            arguments = {"stride": stride, "padding": padding, "output_padding": extra, "bias": bias is not None}
            return _filled(torch, nn.ConvTranspose2d(inner, outer, kernel, **arguments), layer)
        case Prelu(slope):
            made = nn.PReLU(slope.size)
            made.weight.data = torch.from_numpy(slope.reshape(-1).copy())
            return made
        case Activation(kind, slope):
            return nn.LeakyReLU(slope) if kind == "leaky" else getattr(nn, ACTIVATIONS[kind])()
        case Upsample(factor):
            return nn.Upsample(scale_factor=factor)
        case Reshape(channels, height, width):
            return nn.Unflatten(1, (channels, height, width))


def _filled(torch: Any, made: Any, layer: Linear | Conv | ConvTranspose) -> Any:
    made.weight.data = torch.from_numpy(layer.weight.copy())
    if layer.bias is not None:
        made.bias.data = torch.from_numpy(layer.bias.copy())
    return made


def _norm(torch: Any, layer: BatchNorm, pictures: bool) -> Any:
    kind = torch.nn.BatchNorm2d if pictures else torch.nn.BatchNorm1d
    made = kind(len(layer.mean), eps=layer.epsilon)
    state = {"weight": layer.weight, "bias": layer.bias, "running_mean": layer.mean, "running_var": layer.variance}
    made.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()}, strict=False)
    return made
