"""Training goes on from a bundle: exported weights, their BatchNorms folded away, back in a network that has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from training.networks.layers import Block

Weights = Mapping[str, Tensor]


@torch.no_grad()
def load_folded(network: nn.Module, weights: Weights, run: Callable[[], object]) -> None:
    """Gives `network` the exported `weights` (one level's state dict); ValueError where the two do not fit.

    Folding lost each norm's mean, scale and gain. While `run` sends one batch of noise through the network, every norm that
    `weights` lacks gets the gain and shift that make it, on that batch, pass its input on with the folded bias added: the
    exported layer.
    """
    norms = {name: block.norm for name, block in network.named_modules() if isinstance(block, Block)}
    norms = {name: norm for name, norm in norms.items() if isinstance(norm, nn.BatchNorm2d)}
    norms = {name: norm for name, norm in norms.items() if f"{name}.norm.running_mean" not in weights}
    missing, extra = network.load_state_dict(weights, strict=False)
    biases = {name: _bias_of(name, extra) for name in norms}
    lost = [key for key in missing if key.rpartition(".norm.")[0] not in norms]
    if lost or set(extra) != set(biases.values()):
        raise ValueError(f"the weights are of another network: {(lost or sorted(extra))[0]}")
    hooks = [norm.register_forward_pre_hook(_settle(weights[biases[name]])) for name, norm in norms.items()]
    try:
        if hooks:
            network.train()
            run()
    finally:
        for hook in hooks:
            hook.remove()


def _bias_of(block: str, extra: list[str]) -> str:
    found = [key for key in extra if key.startswith(f"{block}.layer.") and key.endswith("bias")]
    return found[0] if found else ""


def _settle(bias: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0)
        own = bias.to(mean.device).view(len(mean), -1)[
            :, 0
        ]  # a projection repeats a channel's bias at each of its places
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + own)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]

    return hook
