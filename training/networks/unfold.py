"""Training goes on from a bundle: exported weights, their BatchNorms folded away, back in a network that has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

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
    missing, extra = network.load_state_dict(weights, strict=False)
    norms = {name: norm for name, norm in network.named_modules() if _is_folded(name, norm, weights)}
    biases = _biases(network, norms, weights)
    lost = [key for key in missing if key.rpartition(".")[0] not in biases]
    unknown = set(extra) - set(biases.values())
    if lost or unknown:
        raise ValueError(f"the weights are of another network: {(lost or sorted(unknown))[0]}")
    own = {name: weights[bias] for name, bias in biases.items() if bias in extra}
    hooks = [norm.register_forward_pre_hook(_settle(own.get(name))) for name, norm in norms.items()]
    try:
        if hooks:
            network.train()
            run()
    finally:
        for hook in hooks:
            hook.remove()


def _is_folded(name: str, module: nn.Module, weights: Weights) -> bool:
    return isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and f"{name}.running_mean" not in weights


def _biases(network: nn.Module, norms: Mapping[str, nn.Module], weights: Weights) -> dict[str, str]:
    """By norm: the key of the bias that folding wrote into the layer before it; a norm without one is not there."""
    before = {}
    for name, module in network.named_modules():
        if isinstance(module, Block):
            before[f"{name}.norm"] = f"{name}.layer."
        elif isinstance(module, nn.Sequential):
            keys = [f"{name}.{key}".lstrip(".") for key, _ in module.named_children()]
            before |= {key: f"{earlier}." for earlier, key in pairwise(keys)}
    biases = {
        layer: key for key in weights if key.endswith("bias") for layer in before.values() if key.startswith(layer)
    }
    return {name: biases[before[name]] for name in norms if before.get(name) in biases}


def _settle(bias: Tensor | None) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """`bias`: where the layer before has none of its own; a projection repeats a channel's at each of its places."""

    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
        channels = inputs[0].transpose(0, 1).flatten(1)
        mean, variance = channels.mean(1), channels.var(1, correction=0)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean if bias is None else mean + bias.to(mean.device).view(len(mean), -1)[:, 0])
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]

    return hook
