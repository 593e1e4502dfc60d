"""Which technique of Salimans et al. 2016 which algorithm knows; a recipe that asks for another is refused, not ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Technique:
    """`key`: where a recipe switches it; `off`: the value without it; `on`: one that counts, None for every other."""

    name: str
    section: str
    key: str
    off: Any
    algorithms: tuple[str, ...]
    on: Any = None

    def wanted(self, recipe: Any) -> bool:
        """Whether a recipe switches it on."""
        value = recipe
        for part in self.key.split("."):
            value = getattr(value, part)
        return bool(value != self.off if self.on is None else value == self.on)


PAIRS = ("dcgan", "gan", "improved_gan")
TECHNIQUES = (
    Technique("feature matching", "3.1", "technique.feature_matching", "none", PAIRS),
    Technique("minibatch discrimination", "3.2", "technique.minibatch_kernels", 0, ("dcgan", "gan")),
    Technique("historical averaging", "3.3", "technique.historical", 0.0, PAIRS),
    Technique("one-sided label smoothing", "3.4", "loss.real_target", 1.0, ("dcgan", "gan", "lapgan")),
    Technique("virtual batch normalization", "3.5", "generator.norm", "batch", ("dcgan",), "virtual"),
    Technique("weight normalization", "5", "discriminator.norm", "batch", ("dcgan",), "weight"),
    Technique("Gaussian noise", "5", "technique.input_noise", 0.0, PAIRS),
)


def unknown_to(recipe: Any) -> list[Technique]:
    """The techniques a recipe asks for and its algorithm would not hear of."""
    return [found for found in TECHNIQUES if found.wanted(recipe) and recipe.algorithm not in found.algorithms]
