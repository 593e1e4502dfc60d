"""The one thing the training loop knows of a GAN.

How to add an algorithm
-----------------------
1. Write `training/algorithms/<name>.py` with a subclass of `Algorithm`. Its constructor takes a `Setting` and builds
   networks (from `training/networks`), optimisers and averages; call `self.prepare(network)` on each network.
2. Implement `step`: move every player once. Draw only from the `StepRandom` you are given (dropout and the like use
   torch's global generators, which the loop seeds per step). Call `self.parallel.average_gradients(parameters)` between
   `backward()` and the optimiser's `step()`. Return 0-d tensors, never `.item()`: the loop reads them every `log_every` steps.
3. Give `state_dict`/`load_state_dict` everything a bit-equal resume needs: networks, optimisers, averages.
   `networks_state` and `load_networks_state` do it for the usual case.
4. Implement `sample` (from flat latents), `export_levels` and, where there is one worth shipping, `export_discriminator`.
5. Add a row to `ALGORITHMS` in `training/algorithms/__init__.py`, the table of your options to
   `training/recipes/tables.py`, and a commented recipe to `training/recipes/`.
A variant of an existing algorithm is a recipe, not a file.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.manifest import Upsampling
from training.compute import precision
from training.compute.parallel import Parallel
from training.compute.randomness import StepRandom
from training.data.batch import Batch, DataSpec
from training.recipes.recipe import Recipe


@dataclass(frozen=True)
class Setting:
    """Everything an algorithm is built from."""

    recipe: Recipe
    data: DataSpec
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    parallel: Parallel = field(default_factory=Parallel)

    @property
    def local_batch(self) -> int:
        """Real pictures per discriminator move in this process."""
        return self.recipe.run.batch // self.parallel.world_size


@dataclass(frozen=True)
class Level:
    """One exported graph: a module (previous or None, noise[, label]) -> picture, and what it eats and gives.

    `noise_shape` excludes the batch: (Z,) for a vector, (1, H, W) for a plane;
    `size` is the picture's height in pixels, and its width where `width` is 0.
    """

    module: nn.Module
    noise_shape: tuple[int, ...]
    size: int
    channels: int
    takes_previous: bool = False
    takes_label: bool = False
    factor: int | None = None  # set: takes pictures of any size and multiplies their sides; `size` is the trained one
    halo: int = 0  # pixels of `previous` around a tile that reach into its output
    width: int = 0

    @property
    def sides(self) -> tuple[int, int]:
        """(height, width) of the picture it gives."""
        return self.size, self.width or self.size


class Algorithm(ABC):
    """One GAN family: builds the networks and moves them one step at a time."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.recipe, self.data = setting.recipe, setting.data
        self.device, self.parallel = setting.device, setting.parallel

    @property
    def pictures_per_step(self) -> int:
        """Real pictures one step of this process consumes."""
        return self.setting.local_batch

    @property
    def classes(self) -> int:
        """Labels the generator is told of; 0 makes it unconditional."""
        return len(self.data.classes)

    @property
    @abstractmethod
    def latent_size(self) -> int:
        """Numbers in the flat latent vector of one picture, all levels together."""

    @abstractmethod
    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """Moves every player once; `batch` holds `pictures_per_step` pictures; returns 0-d statistics by name."""

    @abstractmethod
    def sample(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] float32 in [-1, 1] of flat latents [N, latent_size] and one-hot labels [N, K]."""

    @abstractmethod
    def draw(self, latents: Tensor, labels: Tensor | None, random: StepRandom) -> list[Tensor]:
        """Pictures of the moving generators, with gradients to their weights: one a level, coarsest first."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs for a bit-equal continuation; tensors, numbers, strings only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""

    @abstractmethod
    def export_levels(self) -> list[Level]:
        """Fresh float32 CPU copies of what is served, coarsest first, with norms folded and no training machinery."""

    def export_discriminator(self) -> nn.Module | None:
        """A copy (picture) -> (logits, features [N, F]) that treats each picture alone, or None.

        Logits are [N] for `discriminator_kind` "real" and [N, K] for "classes".
        """
        return None

    @property
    def discriminator_kind(self) -> Literal["real", "classes"]:
        """What the exported discriminator's logits mean; see `models.manifest.Discriminator`."""
        return "real"

    def generators(self) -> list[tuple[nn.Module, nn.Module]]:
        """(moving, averaged) generator of each level, coarsest first: what a run that begins from another one takes over."""
        return []

    def discriminators(self) -> list[dict[str, nn.Module]]:
        """Each level's, coarsest first, by their names in its state: they come along from a run of the same seed."""
        return []

    def upsampling(self) -> Upsampling | None:
        """How a user's picture may enter the exported chain, for families that enlarge."""
        return None

    def refresh_statistics(self, random: StepRandom) -> None:  # noqa: B027 - optional
        """Recomputes what sampling needs beyond the weights (standing BatchNorm statistics)."""

    def prepare(self, network: nn.Module) -> nn.Module:
        """Moves a network to the run's device and memory format, and gives all processes the same weights."""
        return prepare(self.setting, network)

    def autocast(self) -> Any:
        """The arithmetic of the recipe, as a context."""
        return precision.autocast(self.recipe.run.precision, self.device)


def prepare(setting: Setting, network: nn.Module) -> nn.Module:
    """Moves a network to the run's device and memory format, and gives all processes the same weights."""
    layout = torch.channels_last if setting.recipe.run.channels_last else torch.contiguous_format
    network = network.to(setting.device).to(memory_format=layout)  # type: ignore[call-overload]
    setting.parallel.broadcast(network)
    return network


def plain_copy(network: nn.Module) -> nn.Module:
    """A float32 CPU copy in evaluation mode, contiguous, with parametrisations (spectral norm) made permanent."""
    twin = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for module in twin.modules():
        if nn.utils.parametrize.is_parametrized(module):
            _own_class(module)
            nn.utils.parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return twin.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def _own_class(module: nn.Module) -> None:
    """Parametrised copies share a class, and removing the parametrisation deletes that class's `weight` for all of them."""
    shared = type(module)
    module.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))


def networks_state(parts: dict[str, Any]) -> dict[str, Any]:
    """State dictionaries of networks and optimisers by name."""
    return {name: part.state_dict() for name, part in parts.items()}


def load_networks_state(parts: dict[str, Any], state: dict[str, Any]) -> None:
    """Loads what `networks_state` gave."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


def adam(table: Any, parameters: Sequence[nn.Parameter]) -> torch.optim.Adam:
    """Adam with the recipe's numbers, in one fused pass over each weight."""
    return torch.optim.Adam(
        parameters,
        lr=table.lr,
        betas=(table.beta1, table.beta2),
        eps=table.eps,
        weight_decay=table.weight_decay,
        fused=True,
    )


def decayed_rate(rate: float, step: int, steps: int, decay_from: float) -> float:
    """The learning rate of a step: constant, then linear to 0 over the last 1 - decay_from of the steps."""
    start = decay_from * steps
    if step < start or steps <= start:
        return rate
    return rate * max(steps - step, 0) / (steps - start)
