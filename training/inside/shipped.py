"""The torch networks of a shipped DCGAN bundle, rebuilt from its recipe and its weights.safetensors."""

from __future__ import annotations

from typing import cast

from safetensors.torch import load_file
from torch import Tensor

from models.bundle import Bundle
from training import algorithms
from training.algorithms.base import Setting
from training.algorithms.two_player import Critic
from training.data.batch import DataSpec
from training.errors import EvaluationError
from training.networks.dcgan import DcganDiscriminator, DcganGenerator
from training.recipes.resolve import from_tree

WEIGHTS = "weights.safetensors"


def networks(bundle: Bundle, random: bool = False) -> tuple[DcganGenerator, DcganDiscriminator]:
    """Generator and discriminator in evaluation mode, norms folded; `random` keeps the fresh weights of the recipe's seed.

    Raises EvaluationError for bundles of other families.
    """
    manifest = bundle.manifest
    if manifest.family != "dcgan" or WEIGHTS not in manifest.files:
        raise EvaluationError(f"'{bundle.name}' is no DCGAN with its weights beside it")
    recipe = from_tree({**manifest.provenance.recipe, "run": {"precision": "float32", "channels_last": False}})
    labels = manifest.labels if manifest.conditional else None
    spec = DataSpec(manifest.image.height, manifest.image.channels, tuple(labels or ()))
    algorithm = algorithms.build(Setting(recipe, spec))
    level, discriminator = algorithm.export_levels()[0].module, algorithm.export_discriminator()
    if discriminator is None:
        raise EvaluationError(f"'{bundle.name}' was exported without its discriminator")
    if not random:
        weights = load_file(bundle.path(WEIGHTS))
        level.load_state_dict(_part(weights, "level-0."))
        discriminator.load_state_dict(_part(weights, "discriminator."))
    critic = cast(Critic, discriminator).discriminator
    return cast(DcganGenerator, level.eval()), cast(DcganDiscriminator, critic).eval()


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
