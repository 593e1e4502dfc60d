"""Standing statistics: BatchNorm's mean and variance recomputed for given weights over many sampling batches."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recompute_batch_norms(network: nn.Module, inputs: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Replaces the running statistics by the plain mean over the given (noise, label) batches; nothing given, nothing done.

    Leaves the network in evaluation mode. An averaged generator has weights no running statistic was taken with.
    """
    norms = [module for module in network.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [norm.momentum for norm in norms]
    for index, (noise, label) in enumerate(inputs):
        if index == 0:
            _reset(norms)
            network.train()
        network(noise, label)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _reset(norms: list[nn.BatchNorm1d | nn.BatchNorm2d]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
