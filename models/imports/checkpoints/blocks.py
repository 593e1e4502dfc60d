"""Modules of a state dictionary as blocks: a layer with weights, its norm, and what may lie between it and the one before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.errors import ImportRefusedError
from models.imports.checkpoints.layers import Array
from models.imports.checkpoints.weights import Module

HELP = "; export the generator to ONNX and import that, or name its class with --class my_module:Generator"


@dataclass(frozen=True)
class Block:
    """`gap`: layers without weights before it in its sequence, None where the numbering does not tell.

    `leading`: its own place in its sequence. `early`: an activation lies between its weights and its norm.
    """

    module: Module
    norm: Module | None = None
    prelu: Module | None = None
    gap: int | None = None
    leading: int = 0
    early: bool = False

    @property
    def weight(self) -> Array:
        """The weights, 2 or 4 axes."""
        return self.module.tensors["weight"]

    @property
    def normed(self) -> int:
        """Channels that the norm takes; 0 without one."""
        return 0 if self.norm is None else len(self.norm.tensors["running_mean"])

    @property
    def becomes_picture(self) -> bool:
        """A linear layer whose norm already sees a picture, as in PyTorch-GAN, which has no activation there."""
        return self.norm is not None and self.weight.ndim == 2 and self.normed != len(self.weight)


def label_table(modules: Sequence[Module]) -> tuple[Array | None, list[Module]]:
    """The embedding of labels, if a module's name says it is one, and the other modules."""
    found = [module for module in modules if "emb" in module.path.lower() and _is_table(module)]
    if len(found) > 1:
        raise ImportRefusedError(f"there are several embeddings: {', '.join(one.path for one in found)}{HELP}")
    return (found[0].tensors["weight"] if found else None), [one for one in modules if one not in found]


def _is_table(module: Module) -> bool:
    return set(module.tensors) == {"weight"} and module.tensors["weight"].ndim == 2


def blocks_of(modules: Sequence[Module]) -> list[Block]:
    """The blocks in order. Raises ImportRefusedError that names a module which is no layer of the family.

    Norms that do not follow their layers, as where names were sorted or all norms declared last, are put behind those
    whose channels they have.
    """
    try:
        return _joined_blocks(modules)
    except ImportRefusedError:
        ordered = norms_behind_layers(modules)
        if ordered is None:
            raise
        return _joined_blocks(ordered)


def norms_behind_layers(modules: Sequence[Module]) -> list[Module] | None:
    """The modules with each norm behind the next layer that gives as many channels; None when one finds none."""
    layers = [module for module in modules if not _is_norm(module)]
    place = -1
    for norm in filter(_is_norm, modules):
        channels = len(norm.tensors["running_mean"])
        following = range(place + 1, len(layers))
        place = next((k for k in following if _may_give(layers[k], channels)), -1)
        if place < 0:
            return None
        layers.insert(place + 1, norm)
        place += 1
    return layers


def _may_give(layer: Module, channels: int) -> bool:
    shape = layer.tensors["weight"].shape if "weight" in layer.tensors else ()
    return bool((len(shape) == 2 and shape[0] % channels == 0) or (len(shape) == 4 and channels in shape[:2]))


def _joined_blocks(modules: Sequence[Module]) -> list[Block]:
    blocks: list[Block] = []
    previous: Module | None = None
    for module in modules:
        if _is_norm(module) or _is_prelu(module):
            if not blocks:
                raise ImportRefusedError(f"{module.path} comes before any layer{HELP}")
            blocks[-1] = _joined(blocks[-1], module, _gap(previous, module))
        else:
            _check_layer(module)
            blocks.append(Block(module, gap=_gap(previous, module), leading=module.index or 0))
        previous = module
    if not blocks:
        raise ImportRefusedError("there is no layer with weights" + HELP)
    return blocks


def _joined(block: Block, module: Module, gap: int | None) -> Block:
    if _is_prelu(module):
        return replace(block, prelu=module)
    if block.norm is not None:
        raise ImportRefusedError(f"{module.path} normalises a second time{HELP}")
    joined = replace(block, norm=module)
    reshaped = 1 if joined.becomes_picture else 0  # nn.Unflatten lies between a linear layer and a norm of pictures
    return replace(joined, early=(gap or 0) > reshaped or block.prelu is not None)


def _is_norm(module: Module) -> bool:
    return {"running_mean", "running_var"} <= set(module.tensors)


def _is_prelu(module: Module) -> bool:
    return set(module.tensors) == {"weight"} and bool(module.tensors["weight"].ndim == 1)


def _check_layer(module: Module) -> None:
    weight, extra = module.tensors.get("weight"), sorted(set(module.tensors) - {"weight", "bias"})
    if weight is not None and weight.ndim == 1:
        raise ImportRefusedError(
            f"{module.path} is a norm without statistics: an InstanceNorm, a GroupNorm, or a BatchNorm that keeps none, which "
            f"weights alone do not tell{HELP}"
        )
    if weight is None or extra or weight.ndim not in (2, 4):
        name = ".".join(part for part in (module.path, (extra or sorted(module.tensors))[0]) if part)
        raise ImportRefusedError(
            f"{name!r} belongs to no layer of the DCGAN family (linear, convolution, BatchNorm){HELP}"
        )


def _gap(before: Module | None, module: Module) -> int | None:
    """Layers without weights between two neighbours of one sequence; None when they are in different ones."""
    if before is None or before.parent != module.parent or before.index is None or module.index is None:
        return None
    return module.index - before.index - 1
