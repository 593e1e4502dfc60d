"""Counter-based randomness: everything a step draws is a function of (run seed, step, purpose, process).

Nothing is carried from step to step, so a run that is killed and resumed draws exactly what it would have drawn.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor


def stream_seed(seed: int, *words: int | str) -> int:
    """A 63-bit seed for one named stream, well mixed (numpy SeedSequence)."""
    numbers = [zlib.crc32(word.encode()) if isinstance(word, str) else word for word in words]
    low, high = np.random.SeedSequence([seed, *numbers]).generate_state(2, np.uint32)
    return (int(high) << 31) ^ int(low)


class StepRandom:
    """The random numbers of one step of one process; drawn on the CPU, then moved, so that devices agree."""

    def __init__(self, seed: int, step: int, rank: int = 0, device: torch.device | str = "cpu") -> None:
        self.seed, self.step, self.rank = seed, step, rank
        self.device = torch.device(device)
        self._generators: dict[str, torch.Generator] = {}

    def generator(self, purpose: str) -> torch.Generator:
        """The CPU generator of one purpose; draws under one name do not shift those under another."""
        if purpose not in self._generators:
            fresh = torch.Generator()
            fresh.manual_seed(stream_seed(self.seed, self.step, self.rank, purpose))
            self._generators[purpose] = fresh
        return self._generators[purpose]

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Standard normal float32 of that shape, on the step's device."""
        return torch.randn(*shape, generator=self.generator(purpose)).to(self.device)

    def uniform(self, purpose: str, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform float32 in [low, high) of that shape, on the step's device."""
        drawn = torch.rand(*shape, generator=self.generator(purpose))
        return (drawn * (high - low) + low).to(self.device)

    def integers(self, purpose: str, high: int, *shape: int) -> Tensor:
        """Integers 0 … high-1 of that shape, on the step's device."""
        return torch.randint(high, shape, generator=self.generator(purpose)).to(self.device)

    def latents(self, purpose: str, count: int, size: int, distribution: str) -> Tensor:
        """[count, size] of the prior: "standard_normal", or "uniform" for U(-1, 1)."""
        if distribution == "uniform":
            return self.uniform(purpose, count, size, low=-1.0, high=1.0)
        return self.normal(purpose, count, size)

    def seed_global(self) -> None:
        """Seeds torch's global generators, for layers such as dropout that draw from them."""
        torch.manual_seed(stream_seed(self.seed, self.step, self.rank, "global"))
