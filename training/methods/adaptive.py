"""Adaptive augmentation (ADA, Karras et al. 2020): as much of it as keeps the discriminator from learning the set by heart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.recipes.tables import AugmentTable


class AdaptiveProbability:
    """The share of pictures each augmentation changes, steered so that the discriminator is right about `target` of the time.

    Their r_t = E[sign D(real)] in [-1, 1] is 2 * accuracy - 1 here; for relativistic pairs, whose single logits mean
    nothing, the sign of the difference takes its place. p moves by pictures / (1000 * `adaptive_kimg`) a step.
    """

    def __init__(self, table: AugmentTable, device: torch.device) -> None:
        self.target, self.pictures = table.adaptive, 1000.0 * table.adaptive_kimg
        self.value = torch.zeros((), device=device)

    def learn(self, accuracy: Tensor, pictures: int) -> None:
        """After one move of the discriminator that was right on a share `accuracy` (0 … 1) of its verdicts."""
        excess = torch.sign(2.0 * accuracy - 1.0 - self.target)
        self.value = (self.value + excess * (pictures / self.pictures)).clamp(0.0, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """The probability."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        self.value = state["value"].to(self.value.device)
