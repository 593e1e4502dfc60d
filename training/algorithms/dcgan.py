"""DCGAN (Radford et al. 2016) and what later work hangs on it: other losses, R1, conditioning, augmentation, averaging.

One step: the discriminator moves `discriminator_steps` times, then the generator once, on the last fakes (dcgan.torch).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from training import ema, losses
from training.algorithms.base import (
    Algorithm,
    Level,
    Setting,
    adam,
    decayed_rate,
    load_networks_state,
    networks_state,
    plain_copy,
)
from training.augment import augment
from training.data.batch import Batch
from training.networks.dcgan import DcganDiscriminator, DcganGenerator, Judgement
from training.networks.layers import fold_batch_norms, initialise
from training.randomness import StepRandom
from training.standing import recompute_batch_norms


class Dcgan(Algorithm):
    """A convolutional generator against a convolutional discriminator."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        recipe, data = self.recipe, self.data
        labels = len(data.classes)
        generator = DcganGenerator(recipe.generator, data.size, data.channels, recipe.latent.size, labels)
        discriminator = DcganDiscriminator(
            recipe.discriminator, data.size, data.channels, labels, auxiliary=recipe.loss.auxiliary > 0
        )
        first = StepRandom(recipe.run.seed, 0)
        initialise(generator, first.generator("generator"))
        initialise(discriminator, first.generator("discriminator"))
        self.generator, self.discriminator = self.prepare(generator), self.prepare(discriminator)
        self.average = ema.averaged_copy(self.generator)
        self.generator_optimizer = adam(recipe.optimizer.generator, list(self.generator.parameters()))
        self.discriminator_optimizer = adam(recipe.optimizer.discriminator, list(self.discriminator.parameters()))

    @property
    def pictures_per_step(self) -> int:
        """A fresh real batch for each discriminator move."""
        return self.setting.local_batch * self.recipe.optimizer.discriminator_steps

    @property
    def latent_size(self) -> int:
        """The noise vector's length."""
        return self.recipe.latent.size

    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """D `discriminator_steps` times, then G once; see `Algorithm.step`."""
        self._set_rates(random.step)
        stats: dict[str, Tensor] = {}
        for index, part in enumerate(batch.chunks(self.recipe.optimizer.discriminator_steps)):
            fake = self._generate(part, random, f"latents.{index}")
            stats = self._move_discriminator(part, fake, random, f"augment.{index}")
        stats |= self._move_generator(fake, part.labels, random)
        self._average(random.step)
        return stats

    def sample(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures of the averaged generator in evaluation mode."""
        network = self.average.eval()
        with torch.no_grad(), self.autocast():
            return cast(Tensor, network(latents, labels)).float()

    def state_dict(self) -> dict[str, Any]:
        """Networks, average and both optimisers."""
        return networks_state(self._parts())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        load_networks_state(self._parts(), state)

    def refresh_statistics(self, random: StepRandom) -> None:
        """Standing statistics: the averaged weights see fresh latents, and BatchNorm keeps the mean over all of them."""
        batches = self.recipe.ema.standing_batches
        prior, classes = self.recipe.latent, len(self.data.classes)
        with self.autocast():
            recompute_batch_norms(
                self.average,
                (
                    (
                        random.latents("standing", 64, prior.size, prior.distribution),
                        self._one_hot(random.integers("standing", classes, 64)) if classes else None,
                    )
                    for _ in range(batches)
                ),
            )

    def export_levels(self) -> list[Level]:
        """One level: noise (and label) to picture."""
        network = plain_copy(self.average)
        fold_batch_norms(network)
        prior, data = self.recipe.latent, self.data
        return [Level(network, (prior.size,), data.size, data.channels, takes_label=bool(data.classes))]

    def export_discriminator(self) -> nn.Module | None:
        """Logit and features of a picture alone; a discriminator that needs the label as planes cannot judge one."""
        discriminator = cast(DcganDiscriminator, plain_copy(self.discriminator))
        return None if discriminator.label_planes else fold_batch_norms(Critic(discriminator))

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def _set_rates(self, step: int) -> None:
        players, steps = self.recipe.optimizer, self.recipe.run.steps
        for optimizer, table in (
            (self.generator_optimizer, players.generator),
            (self.discriminator_optimizer, players.discriminator),
        ):
            optimizer.param_groups[0]["lr"] = decayed_rate(table.lr, step, steps, players.decay_from)

    def _generate(self, batch: Batch, random: StepRandom, purpose: str) -> Tensor:
        prior = self.recipe.latent
        latents = random.latents(purpose, len(batch.pictures), prior.size, prior.distribution)
        with self.autocast():
            return cast(Tensor, self.generator(latents, batch.labels)).float()

    def _judge(self, pictures: Tensor, labels: Tensor | None, random: StepRandom, purpose: str) -> Judgement:
        seen = augment(pictures, self.recipe.augment.policy, random, purpose)
        if self.recipe.run.channels_last:
            seen = seen.contiguous(memory_format=torch.channels_last)
        with self.autocast():
            judgement: Judgement = self.discriminator(seen, labels)
        classes = None if judgement.classes is None else judgement.classes.float()
        return Judgement(judgement.logit.float(), judgement.features, classes)

    def _move_discriminator(self, batch: Batch, fake: Tensor, random: StepRandom, purpose: str) -> dict[str, Tensor]:
        table, labels = self.recipe.loss, batch.labels
        self.discriminator.requires_grad_(True)
        real_says = self._judge(batch.pictures, labels, random, f"{purpose}.real")
        fake_says = self._judge(fake.detach(), labels, random, f"{purpose}.fake")
        loss = losses.DISCRIMINATOR_LOSSES[table.kind](real_says.logit, fake_says.logit, table.real_target)
        stats = {
            "discriminator_loss": loss.detach(),
            "real_accuracy": losses.accuracy(real_says.logit, real=True),
            "fake_accuracy": losses.accuracy(fake_says.logit, real=False),
        }
        if real_says.classes is not None and labels is not None:
            cost = losses.auxiliary_loss(real_says.classes, labels)
            loss, stats["class_loss_real"] = loss + table.auxiliary * cost, cost.detach()
        if table.r1_gamma and random.step % table.r1_every == 0:
            penalty = self._r1(batch)
            loss, stats["r1"] = loss + 0.5 * table.r1_gamma * table.r1_every * penalty, penalty.detach()
        self._descend(loss, self.discriminator_optimizer, self.discriminator)
        return stats

    def _r1(self, batch: Batch) -> Tensor:
        """In float32: the second derivative loses too much in bf16."""
        pictures = batch.pictures.detach().requires_grad_(True)
        judgement: Judgement = self.discriminator(pictures, batch.labels)
        return losses.r1_penalty(judgement.logit, pictures)

    def _move_generator(self, fake: Tensor, labels: Tensor | None, random: StepRandom) -> dict[str, Tensor]:
        table = self.recipe.loss
        self.discriminator.requires_grad_(False)  # its gradients would be computed for nothing
        judgement = self._judge(fake, labels, random, "augment.generator")
        loss = losses.GENERATOR_LOSSES[table.kind](judgement.logit)
        stats = {"generator_loss": loss.detach()}
        if judgement.classes is not None and labels is not None:
            cost = losses.auxiliary_loss(judgement.classes, labels)
            loss, stats["class_loss_fake"] = loss + table.auxiliary * cost, cost.detach()
        self._descend(loss, self.generator_optimizer, self.generator)
        return stats

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, network: nn.Module) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.parallel.average_gradients(network.parameters())
        optimizer.step()

    def _average(self, step: int) -> None:
        table, batch = self.recipe.ema, self.recipe.run.batch
        keep = ema.decay(table.images, table.rampup, batch, (step + 1) * batch) if table.images else 0.0
        ema.update(self.average, self.generator, keep)

    def _one_hot(self, labels: Tensor) -> Tensor:
        return nn.functional.one_hot(labels, len(self.data.classes)).float()


class Critic(nn.Module):
    """A discriminator as it is shipped: picture -> (logit [N], features [N, F]), the label left out."""

    def __init__(self, discriminator: DcganDiscriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Picture [N, C, H, W] in [-1, 1] -> unconditional logit [N] and features [N, F]."""
        features = self.discriminator.features(picture)
        return self.discriminator.head(features).squeeze(1), features
