"""Folds the BatchNorms of any network into its convolutions, found by running it once: the same answers in less time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Pair = tuple[nn.Conv2d, nn.BatchNorm2d]


@torch.no_grad()
def fold_by_running(network: nn.Module, run: Callable[[], object]) -> int:
    """Writes every BatchNorm that directly follows a convolution while `run()` uses the network into it; how many.

    In place, in evaluation mode. A convolution whose answer also goes elsewhere must not be followed by a norm.
    """
    network.eval()
    pairs = _followers(network, run)
    for convolution, norm in pairs:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    replaced = {id(norm) for _, norm in pairs}
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in replaced:
                setattr(parent, name, nn.Identity())
    return len(pairs)


def _followers(network: nn.Module, run: Callable[[], object]) -> list[Pair]:
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the answers are kept, so that no id is used twice
    pairs: list[Pair] = []

    def notice(module: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            made[id(answer)] = (module, answer)
        elif isinstance(module, nn.BatchNorm2d) and id(given[0]) in made:
            pairs.append((made[id(given[0])][0], module))

    wanted = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    hooks = [module.register_forward_hook(notice) for module in wanted]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return pairs
