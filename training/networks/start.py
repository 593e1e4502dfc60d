"""The start of fully connected networks: variance kept from layer to layer, drawn from a given generator."""

from __future__ import annotations

import torch
from torch import nn


def initialise_linear(network: nn.Module, generator: torch.Generator) -> None:
    """Every linear layer: weights uniform with variance 2 / (inputs + outputs) (Glorot and Bengio 2010), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
