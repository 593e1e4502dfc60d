"""What a pretrained network's blocks say on the way to its last features."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

PROBE = 224  # pixels, of which each stage has its own share


class Stage(NamedTuple):
    """The last block before the picture is halved again."""

    stride: int  # pixels of the picture to a place of its map
    channels: int
    block: nn.Module


class StageMaps:
    """Listens to a network of blocks and keeps the maps of its stages, but the last, until they are taken."""

    def __init__(self, network: nn.Module) -> None:
        self.stages = _stages(network)
        self._maps: dict[int, Tensor] = {}
        for stage in self.stages:
            stage.block.register_forward_hook(self._keeping(stage.stride))

    def take(self) -> list[Tensor]:
        """Of the latest forward pass, finest first: [N, C, h, w] each; afterwards nothing is kept."""
        maps, self._maps = self._maps, {}
        return [maps[stage.stride] for stage in self.stages]

    def _keeping(self, stride: int) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_block: nn.Module, _inputs: object, output: Tensor) -> None:
            self._maps[stride] = output

        return keep


def _stages(network: nn.Module) -> list[Stage]:
    """Found by sending an empty picture through."""
    blocks = next(child for child in network.children() if isinstance(child, nn.ModuleList))
    found: dict[int, Stage] = {}

    def note(block: nn.Module, _inputs: object, output: Tensor) -> None:
        stride = PROBE // output.shape[-1]
        found[stride] = Stage(stride, output.shape[1], block)

    handles = [block.register_forward_hook(note) for block in blocks]
    with torch.no_grad():
        device = next(network.parameters()).device
        network.extract_features(torch.zeros(1, 3, PROBE, PROBE, device=device))  # type: ignore[operator]
    for handle in handles:
        handle.remove()
    return [found[stride] for stride in sorted(found)[:-1]]
