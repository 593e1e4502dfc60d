"""Generators that come as PyTorch modules, TorchScript or a class the user names: what they take is found by trying, then
they are exported to ONNX.
"""

import contextlib
import importlib
import inspect
import io
import logging
import os
import sys
import warnings
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ImportRefusedError
from models.imports.checkpoints.weights import Tensors
from models.imports.graphs.roles import sounds_like_label
from models.imports.options import Options
from models.imports.torch_files import first_line, require_torch

LARGEST_GUESS, MOST_GUESSES = 8192, 64
OPSET = 17


@dataclass(frozen=True)
class TorchModule:
    """A module in eval mode and what it was found to take: names and examples, in order."""

    torch: Any
    module: Any
    given: dict[str, Any]

    def __call__(self, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """The picture (the first output) for the inputs by name."""
        values = [self.torch.from_numpy(np.ascontiguousarray(feed[name])) for name in self.given]
        with self.torch.inference_mode():
            return np.asarray(first_output(self.module(*values)).float().numpy())

    def runs_for_label(self, index: int) -> bool:
        """Whether it takes this class index as its second input."""
        latent, label = self.given.values()
        names = list(self.given)
        return _runs(self.torch, self.module, {names[0]: latent, names[1]: self.torch.full_like(label, index)})

    def to_onnx(self) -> bytes:
        """The module as an ONNX file with a free batch. Raises ImportRefusedError saying what could not be exported."""
        stream = io.BytesIO()
        names = list(self.given)
        axes = {name: {0: "batch"} for name in names}
        settings = {"input_names": names, "dynamic_axes": axes, "opset_version": OPSET, "dynamo": False}
        try:
            with _quiet():
                self.torch.onnx.export(self.module, tuple(self.given.values()), stream, **settings)
        except Exception as error:
            raise ImportRefusedError(f"it cannot be exported to ONNX: {first_line(error)}") from None
        return stream.getvalue()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def first_output(out: Any) -> Any:
    """The first tensor of what a module gives."""
    return out[0] if isinstance(out, tuple | list) else out


def open_script(path: Path, options: Options) -> TorchModule:
    """A TorchScript file. Raises ImportRefusedError when it is damaged or takes what is not understood."""
    torch = require_torch("a TorchScript file")
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()
        names = [argument.name for argument in module.forward.schema.arguments[1:] if not argument.has_default_value()]
    except Exception as error:
        raise ImportRefusedError(f"{path.name} cannot be opened as TorchScript: {first_line(error)}") from None
    return _tried(torch, module, names, options)


def open_script_of_pictures(path: Path, side: int) -> bytes:
    """A TorchScript network from picture to picture as an ONNX file of any batch, height and width."""
    torch = require_torch("a TorchScript file")
    stream, free = io.BytesIO(), {0: "n", 2: "h", 3: "w"}
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()
        channels = next(one.shape[1] for one in module.parameters() if one.dim() == 4)
        settings = {"input_names": ["image"], "output_names": ["enlarged"], "opset_version": OPSET, "dynamo": False}
        with _quiet():
            example = (torch.rand(2, channels, side, side),)
            torch.onnx.export(module, example, stream, dynamic_axes={"image": free, "enlarged": free}, **settings)
    except Exception as error:
        raise ImportRefusedError(f"{path.name} cannot be exported to ONNX: {first_line(error)}") from None
    return stream.getvalue()


def open_class(state: Tensors, options: Options) -> TorchModule:
    """The class the user named, built with `--init` and filled with the weights. This runs the user's own code."""
    torch = require_torch("a checkpoint with --class")
    module = _built(torch, options)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}
    try:
        module.load_state_dict(tensors, strict=True)
    except Exception as error:
        raise ImportRefusedError(
            f"the weights do not fit {options.class_}: {' '.join(str(error).split())[:300]}"
        ) from None
    names = [
        name
        for name, one in inspect.signature(module.forward).parameters.items()
        if one.default is inspect.Parameter.empty
    ]
    return _tried(torch, module.eval(), names, options)


def named_class(options: Options) -> Any:
    """The class of `--class module:Class`, looked for in the folder the user is in, too."""
    module, _, name = (options.class_ or "").partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise ImportRefusedError(f"--class {options.class_}: {type(error).__name__}: {first_line(error)}") from None


def _built(torch: Any, options: Options) -> Any:
    made = named_class(options)
    try:
        module = made(**{name: _literal(value) for name, value in options.init.items()})
    except Exception as error:
        raise ImportRefusedError(
            f"{options.class_} cannot be built; say its arguments with --init: {first_line(error)}"
        ) from None
    if not isinstance(module, torch.nn.Module):
        raise ImportRefusedError(f"{options.class_} is no torch.nn.Module")
    return module


def _literal(text: str) -> Any:
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _tried(torch: Any, module: Any, names: list[str], options: Options) -> TorchModule:
    """What the module takes: latents of the sizes its weights suggest, flat or as [z, 1, 1], and a label if there are two."""
    if not 1 <= len(names) <= 2:
        raise ImportRefusedError(
            f"its forward takes {len(names)} inputs ({', '.join(names)}); 1 latent and 1 label can be served"
        )
    if len(names) == 2 and sounds_like_label(names[0]):
        raise ImportRefusedError(
            f"its forward takes the label {names[0]!r} before the latent; export it to ONNX and import that"
        )
    for latent in _latents(torch, module, options):
        for label in _labels(torch, module, options) if len(names) == 2 else [None]:
            given = dict(zip(names, [latent] if label is None else [latent, label], strict=True))
            if _runs(torch, module, given):
                return TorchModule(torch, module, given)
    raise ImportRefusedError("no latent that its weights suggest can be given to it; say the size with --latent 100")


def _latents(torch: Any, module: Any, options: Options) -> Iterator[Any]:
    shapes = [tuple(one.shape) for one in module.parameters() if one.dim() in (2, 4)]
    sides = [side for shape in shapes for side in (shape[1], shape[0]) if 2 <= side <= LARGEST_GUESS]
    beside = [
        whole - label for whole in sides for label in dict.fromkeys(sides) if whole > label + 1
    ]  # label put beside it
    for size in [options.latent] if options.latent else list(dict.fromkeys([*sides, *beside]))[:MOST_GUESSES]:
        rows = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
        yield from (rows, rows[:, :, None, None])


def _labels(torch: Any, module: Any, options: Options) -> Iterator[Any]:
    yield torch.tensor([0, 1])
    counts = (
        [len(options.labels)] if options.labels else [one.shape[0] for one in module.parameters() if one.dim() == 2]
    )
    for count in dict.fromkeys([*counts, 10, 100, 1000]):
        yield torch.eye(max(count, 2))[:2]


def _runs(torch: Any, module: Any, given: dict[str, Any]) -> bool:
    """Whether it gives two pictures, or two rows that may be pictures."""
    try:
        with torch.inference_mode():
            out = first_output(module(*given.values()))
    except Exception:  # the wrong shape, whatever the module says of it
        return False
    return isinstance(out, torch.Tensor) and out.dim() in (2, 3, 4) and len(out) == 2 and out[0].numel() >= 16
