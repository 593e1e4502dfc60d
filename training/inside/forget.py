"""Forgetting a feature (Radford et al. 2016, section 6.2): find the maps of G that draw something, drop them, sample again.

The paper outlined windows by hand in 150 samples. Here a classifier says which samples show the attribute, and a logistic
regression on each map's mean activation (the second-highest convolution of G) finds the maps that go with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.errors import EvaluationError
from training.networks.attribute_classifier import Classifier
from training.networks.dcgan import DcganGenerator

Shows = Callable[[Tensor], NDArray[np.bool_]]


@dataclass(frozen=True)
class Forgotten:
    """Which maps were dropped, and the share of samples that show the attribute before, after, and after random drops."""

    maps: tuple[int, ...]
    before: float
    after: float
    control: float
    changed: float  # mean absolute change of the pictures, in units of the range -1 … 1
    changed_control: float


def activations(generator: DcganGenerator, latents: Tensor, dropped: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """Maps [N, M, h, w] before the last layer, with the dropped ones at zero, and the pictures they give."""
    with torch.no_grad():
        x = generator.project(latents)
        for block in generator.blocks:
            x = block(x)
        if dropped:
            x[:, list(dropped)] = 0.0
        return x, generator.output(x)


def maps_of(generator: DcganGenerator, latents: Tensor, shows: Shows, count: int) -> tuple[int, ...]:
    """The `count` maps whose mean activation speaks most for the attribute: the largest positive weights.

    Raises EvaluationError where all samples show it, or none does.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import: only who asks waits
    from sklearn.preprocessing import StandardScaler

    maps, pictures = activations(generator, latents)
    shown = shows(pictures)
    if len(np.unique(shown)) < 2:
        raise EvaluationError(
            f"{'all' if shown[0] else 'none'} of {len(shown)} samples show it: no map tells them apart"
        )
    rows = StandardScaler().fit_transform(maps.mean((2, 3)).numpy())
    machine = LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced").fit(rows, shown)
    weights = machine.coef_[0]
    order = np.argsort(-weights)[:count]
    return tuple(int(index) for index in order if weights[index] > 0)


def forget(
    generator: DcganGenerator, learn: Tensor, test: Tensor, shows: Shows, count: int, seed: int = 0
) -> Forgotten:
    """Finds the maps on the latents `learn` [N, Z] and measures on the latents `test`, beside a random drop of as many."""
    found = maps_of(generator, learn, shows, count)
    maps, plain = activations(generator, test)
    others = [index for index in range(maps.shape[1]) if index not in found]
    chance = np.random.default_rng(seed).choice(others, len(found), replace=False).tolist()
    _, without = activations(generator, test, found)
    _, control = activations(generator, test, chance)
    return Forgotten(
        found,
        float(shows(plain).mean()),
        float(shows(without).mean()),
        float(shows(control).mean()),
        float((without - plain).abs().mean()),
        float((control - plain).abs().mean()),
    )


def shown_by(classifier: Classifier, attribute: str) -> Shows:
    """Which pictures show the attribute; EvaluationError for one the classifier does not know."""
    if attribute not in classifier.names:
        raise EvaluationError(f"the classifier knows {', '.join(classifier.names)}, not {attribute}")
    column = classifier.names.index(attribute)
    return lambda pictures: np.asarray(classifier.logits(pictures.numpy())[:, column] > 0)


def before_and_after(generator: DcganGenerator, latents: Tensor, shows: Shows, maps: Sequence[int]) -> Tensor:
    """Ten samples that show the attribute, and below them the same latents without the maps; [20, C, H, W]."""
    _, plain = activations(generator, latents)
    _, without = activations(generator, latents, maps)
    chosen = np.flatnonzero(shows(plain))[:10]
    return torch.cat([plain[chosen], without[chosen]])
