"""Historical averaging (Salimans et al. 2016, section 3.3): a player pays for straying from its own past.

The cost is |theta - (1/t) sum_{i<=t} theta[i]|^2; the running mean of the parameters is all the past that is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class HistoricalAverage:
    """The running mean of one player's parameters, its cost, and its state for a bit-equal resume."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.count = 0

    def penalty(self) -> Tensor:
        """The squared distance to the mean of the past, 0-d; 0 before the first `remember`."""
        if not self.count:
            return torch.zeros((), device=self.parameters[0].device)
        pairs = zip(self.parameters, self.means, strict=True)
        return torch.stack([(parameter - mean).square().sum() for parameter, mean in pairs]).sum()

    @torch.no_grad()
    def remember(self) -> None:
        """Takes the parameters as they now are into the mean."""
        self.count += 1
        torch._foreach_lerp_(self.means, [p.detach() for p in self.parameters], 1.0 / self.count)

    def state_dict(self) -> dict[str, Any]:
        """The means and how many they are of."""
        return {"count": self.count, "means": list(self.means)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        self.count = state["count"]
        for mine, saved in zip(self.means, state["means"], strict=True):
            mine.copy_(saved)
