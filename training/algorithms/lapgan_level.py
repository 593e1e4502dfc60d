"""One level of a LAPGAN in training: its two nets, its average, its optimisers; a conditional GAN that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.algorithms.base import (
    Setting,
    adam,
    decayed_rate,
    load_networks_state,
    networks_state,
    prepare,
)
from training.compute.precision import autocast
from training.compute.randomness import StepRandom, stream_seed
from training.methods import ema, losses
from training.methods.augment import augment
from training.networks.dcgan import DiscriminatorOutput
from training.networks.lapgan import ResidualLevel, StridedDiscriminator, SubpixelResidual, free_weight
from training.recipes.recipe import Recipe
from training.recipes.tables import SgdTable


@dataclass(frozen=True)
class LevelBatch:
    """What one level learns from: real pictures of its size, the previous ones (real or generated), labels.

    `matched` [B] is 1 where `previous` is the reduction of `real`, 0 where coarser levels made it.
    """

    real: Tensor
    previous: Tensor | None = None
    matched: Tensor | None = None
    labels: Tensor | None = None


class TrainedLevel:
    """Generator against discriminator at one size; knows nothing of the other levels."""

    def __init__(
        self,
        setting: Setting,
        size: int,
        noise_shape: tuple[int, ...],
        generator: nn.Module,
        discriminator: nn.Module,
        every: int = 1,
    ) -> None:
        self.setting, self.recipe, self.size, self.noise_shape = setting, setting.recipe, size, noise_shape
        self.every = every  # steps of the run between two moves of this level
        first = StepRandom(self.recipe.run.seed, 0)
        self.begin_generator(generator, first.generator(f"{size}.generator"))
        self.begin_discriminator(discriminator, first.generator(f"{size}.discriminator"))
        self.generator, self.discriminator = prepare(setting, generator), prepare(setting, discriminator)
        self.average = ema.averaged_copy(self.generator)
        players = self.recipe.optimizer
        self.generator_optimizer = optimizer(self.recipe, players.generator, self.generator)
        self.discriminator_optimizer = optimizer(self.recipe, players.discriminator, self.discriminator)

    def begin_generator(self, generator: nn.Module, stream: torch.Generator) -> None:
        """Its first weights, drawn from `stream`."""
        start(generator, self.recipe.pyramid.init_generator, stream)
        if isinstance(generator, ResidualLevel) and isinstance(generator.residual, SubpixelResidual):
            generator.residual.begin_quietly()

    def begin_discriminator(self, discriminator: nn.Module, stream: torch.Generator) -> None:
        """Its first weights, drawn from `stream`."""
        start(discriminator, self.recipe.pyramid.init_discriminator, stream)
        if isinstance(discriminator, StridedDiscriminator):
            discriminator.begin_quietly()

    def parts(self) -> dict[str, Any]:
        """Everything a bit-equal continuation needs, by name."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def state_dict(self) -> dict[str, Any]:
        """Networks, average and both optimisers."""
        return networks_state(self.parts())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        load_networks_state(self.parts(), state)

    def moves(self, step: int) -> bool:
        """Whether this level moves at a step of the run."""
        return step % self.every == 0

    def noise(self, random: StepRandom, purpose: str, count: int) -> Tensor:
        """[count, *noise_shape] of the recipe's prior."""
        flat = int(torch.Size(self.noise_shape).numel())
        drawn = random.latents(f"{self.size}.{purpose}", count, flat, self.recipe.latent.distribution)
        return drawn.view(count, *self.noise_shape)

    def picture(self, network: nn.Module, previous: Tensor | None, noise: Tensor, labels: Tensor | None) -> Tensor:
        """What a generator makes of its inputs; the pyramid's own arithmetic stays float32 whatever the recipe says."""
        if previous is None:
            with self._autocast():
                return cast(Tensor, network(noise, labels)).float()
        level = cast(ResidualLevel, network)
        low = cast(Tensor, level.enlarge(previous))
        with self._autocast():
            residual = level.detail(previous, low, noise, labels)
        return low + residual.float()

    def sample(self, previous: Tensor | None, noise: Tensor, labels: Tensor | None) -> Tensor:
        """The averaged generator's picture, without gradients."""
        with torch.no_grad():
            return self.picture(self.average.eval(), previous, noise, labels)

    def step(self, batch: LevelBatch, random: StepRandom) -> dict[str, Tensor]:
        """The discriminator once, the generator once, the average once; statistics carry the level's size."""
        self._set_rates(random.step)
        # dropout draws from torch's own stream: seeded per level, it does not depend on which other levels move here
        torch.manual_seed(stream_seed(random.seed, random.step, random.rank, f"{self.size}.global"))
        noise = self.noise(random, "noise", len(batch.real))
        fake = self.picture(self.generator, batch.previous, noise, batch.labels)
        stats = self._move_discriminator(batch, fake, random)
        stats |= self._move_generator(batch, fake, random)
        self._average(random.step)
        return {f"level{self.size}_{name}": value for name, value in stats.items()}

    def _autocast(self) -> Any:
        return autocast(self.recipe.run.precision, self.setting.device)

    def _discriminate(self, pictures: Tensor, labels: Tensor | None, random: StepRandom, purpose: str) -> Tensor:
        seen = augment(pictures, self.recipe.augment.policy, random, f"{self.size}.{purpose}")
        if self.recipe.run.channels_last:
            seen = seen.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            output: DiscriminatorOutput = self.discriminator(seen, labels)
        return output.logit.float()

    def _move_discriminator(self, batch: LevelBatch, fake: Tensor, random: StepRandom) -> dict[str, Tensor]:
        table = self.recipe.loss
        self.discriminator.requires_grad_(True)
        real_says = self._discriminate(batch.real, batch.labels, random, "augment.real")
        fake_says = self._discriminate(fake.detach(), batch.labels, random, "augment.fake")
        loss = losses.DISCRIMINATOR_LOSSES[table.kind](real_says, fake_says, table.real_target)
        stats = {
            "discriminator_loss": loss.detach(),
            "real_accuracy": losses.accuracy(real_says, real=True),
            "fake_accuracy": losses.accuracy(fake_says, real=False),
        }
        if table.r1_gamma and random.step // self.every % table.r1_every == 0:  # of this level's own moves
            penalty = self._r1(batch)
            loss, stats["r1"] = loss + 0.5 * table.r1_gamma * table.r1_every * penalty, penalty.detach()
        self._descend(loss, self.discriminator_optimizer, self.discriminator)
        return stats

    def _r1(self, batch: LevelBatch) -> Tensor:
        pictures = batch.real.detach().requires_grad_(True)
        output: DiscriminatorOutput = self.discriminator(pictures, batch.labels)
        return losses.zero_centred_penalty(output.logit, pictures)

    def _move_generator(self, batch: LevelBatch, fake: Tensor, random: StepRandom) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)  # its gradients would be computed for nothing
        says = self._discriminate(fake, batch.labels, random, "augment.generator")
        cost = losses.generator_loss(self.recipe.loss.kind, says, self._pairs(batch, random))
        stats = {"generator_loss": cost.detach()}
        loss = self.recipe.pyramid.adversarial * cost
        for name, weight, value in self._anchors(batch, fake):
            loss, stats[name] = loss + weight * value, value.detach()
        self._descend(loss, self.generator_optimizer, self.generator)
        return stats

    def _pairs(self, batch: LevelBatch, random: StepRandom) -> Tensor | None:
        """Logits of the real pictures, for a loss that compares with them."""
        if not losses.needs_pairs(self.recipe.loss.kind):
            return None
        with torch.no_grad():
            return self._discriminate(batch.real, batch.labels, random, "augment.pairs")

    def _anchors(self, batch: LevelBatch, fake: Tensor) -> list[tuple[str, float, Tensor]]:
        """Costs that tie a residual level to what it was given: (name, weight, value) of those switched on."""
        table = self.recipe.pyramid
        if batch.previous is None:
            return []
        anchors = []
        if table.consistency:
            back = F.interpolate(fake, size=batch.previous.shape[2:], mode="area")
            anchors.append(("consistency", table.consistency, (back - batch.previous).abs().mean()))
        if table.pixel:
            weights = torch.ones(len(fake)) if batch.matched is None else batch.matched
            error = (fake - batch.real).abs().mean((1, 2, 3))
            anchors.append(("pixel", table.pixel, (error * weights).sum() / weights.sum().clamp(min=1)))
        return anchors

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, network: nn.Module) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.setting.parallel.average_gradients(network.parameters())
        optimizer.step()

    def _average(self, step: int) -> None:
        table, batch = self.recipe.ema, self.recipe.run.batch
        keep = ema.decay(table.images, table.rampup, batch, (step + 1) * batch) if table.images else 0.0
        ema.update(self.average, self.generator, keep)

    def _set_rates(self, step: int) -> None:
        players, run, pyramid = self.recipe.optimizer, self.recipe.run, self.recipe.pyramid
        pairs = (
            (self.generator_optimizer, players.generator),
            (self.discriminator_optimizer, players.discriminator),
        )
        for mover, table in pairs:
            if pyramid.optimizer == "sgd":
                mover.param_groups[0].update(sgd_numbers(pyramid.sgd, step * run.batch))
            else:
                mover.param_groups[0]["lr"] = decayed_rate(table.lr, step, run.steps, players.decay_from)


def optimizer(recipe: Recipe, table: Any, network: nn.Module) -> torch.optim.Optimizer:
    """Adam with the recipe's numbers, or the authors' plain descent."""
    parameters: Sequence[nn.Parameter] = list(network.parameters())
    if recipe.pyramid.optimizer == "adam":
        return adam(table, parameters)
    sgd = recipe.pyramid.sgd
    return torch.optim.SGD(parameters, lr=sgd.lr, momentum=sgd.momentum, foreach=True)


def sgd_numbers(table: SgdTable, pictures_seen: int) -> dict[str, float]:
    """The authors' schedule after so many real pictures: lr / divisor**epochs, momentum + growth * epochs."""
    epochs = pictures_seen // table.epoch_pictures
    momentum = table.momentum + table.momentum_growth * epochs
    return {
        "lr": max(table.lr / table.lr_divisor**epochs, table.lr_floor),
        "momentum": min(momentum, max(table.momentum_cap, table.momentum)),
    }


def start(network: nn.Module, deviation: float, generator: torch.Generator) -> None:
    """First weights: N(0, deviation) and zero biases, or for 0 the usual fan-in scaled start; drawn from `generator`."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            _start_layer(module, deviation, generator)


def _start_layer(
    module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, deviation: float, generator: torch.Generator
) -> None:
    weight = free_weight(module)
    with torch.no_grad():
        if deviation:
            weight.normal_(0.0, deviation, generator=generator)
        else:
            nn.init.kaiming_normal_(weight, 0.2, nonlinearity="leaky_relu", generator=generator)
        if module.bias is not None:
            module.bias.zero_()
