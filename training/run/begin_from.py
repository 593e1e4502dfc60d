"""A new run that begins with the generator of another: of a run folder's newest checkpoint, or of a bundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.bundle import MANIFEST_NAME
from training.algorithms.base import Algorithm
from training.compute.randomness import StepRandom
from training.errors import RecipeError
from training.networks.growth import grown
from training.networks.straightening import PREFIX as STRAIGHTENING
from training.networks.unfold import load_folded
from training.run import checkpoint
from training.run.run_folder import RunFolder

CALIBRATION = 256  # pictures whose statistics stand in for those that folding lost


def begin_from(algorithm: Algorithm, source: Path) -> None:
    """Gives the algorithm's generators, and their averages, the weights of `source`; RecipeError where they do not fit.

    Of a run with the same seed the discriminators come along where they fit: a new one may never catch up with a generator that
    is ahead of it. A bundle's norms are measured on a batch of latents, so its pictures agree in the mean, not to the last
    digit; so is the norm of a painting layer that the recipe has and the source has not.
    """
    try:
        if (source / MANIFEST_NAME).is_file():
            _from_bundle(algorithm, load_file(source / "weights.safetensors"))
        else:
            _from_run(algorithm, RunFolder(source))
    except (ValueError, KeyError, RuntimeError) as error:
        raise RecipeError(
            f"run.init_from: '{source.name}' does not fit this recipe: {str(error).splitlines()[0]}"
        ) from error
    for generator, average in algorithm.generators():
        average.load_state_dict(generator.state_dict())


def _from_run(algorithm: Algorithm, run: RunFolder) -> None:
    state = checkpoint.load(run.checkpoint_path()).algorithm
    levels = list(checkpoint.levels(state).values())
    for index, ((generator, _), level) in enumerate(zip(algorithm.generators(), levels, strict=True)):
        _load(algorithm, index, generator, level["average"])
    if run.recipe().run.seed == algorithm.recipe.run.seed:  # it also draws the mixing of pretrained features
        for networks, level in zip(algorithm.discriminators(), levels, strict=False):
            for name, network in networks.items():
                if _shapes(network.state_dict()) == _shapes(level[name]):
                    network.load_state_dict(level[name])


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _from_bundle(algorithm: Algorithm, weights: dict[str, Tensor]) -> None:
    for index, (generator, _) in enumerate(algorithm.generators()):
        part = f"level-{index}."
        own = {key.removeprefix(part): tensor for key, tensor in weights.items() if key.startswith(part)}
        own = {key: tensor for key, tensor in own.items() if not key.startswith(STRAIGHTENING)}
        _load(algorithm, index, generator, own)


def _load(algorithm: Algorithm, index: int, generator: nn.Module, weights: dict[str, Tensor]) -> None:
    # finer levels have no norms to measure
    run = partial(generator, *_calibration(algorithm)) if index == 0 else _nothing
    load_folded(generator, grown(generator, weights), run)


def _calibration(algorithm: Algorithm) -> tuple[Tensor, Tensor | None]:
    """Noise [CALIBRATION, Z], and labels in turn where there are any."""
    random, classes = StepRandom(algorithm.recipe.run.seed, 0, device=algorithm.device), len(algorithm.data.classes)
    label = torch.eye(classes, device=algorithm.device)[torch.arange(CALIBRATION) % classes] if classes else None
    prior = algorithm.recipe.latent
    return random.latents("begin_from", CALIBRATION, prior.size, prior.distribution), label


def _nothing() -> None:
    """No pass is needed."""
