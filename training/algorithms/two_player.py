"""One generator against one discriminator: the step, the averages and the techniques every such family shares.

One step: the discriminator moves `discriminator_steps` times, then the generator once, on the last fakes (dcgan.torch).
A family (dcgan, gan) is this class with other networks.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

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
from training.compute.randomness import StepRandom
from training.data.batch import Batch
from training.methods import ema, losses
from training.methods.adaptive import AdaptiveProbability
from training.methods.augment import augment
from training.methods.history import HistoricalAverage
from training.methods.standing import recompute_batch_norms
from training.networks import virtual_norm, weight_norm
from training.networks.dcgan import DiscriminatorOutput
from training.networks.layers import fold_batch_norms

CENTRED_ON = 256  # generated pictures whose mean logit is the middle of a relativistic discriminator


class Scorer(Protocol):
    """A discriminator that can be shipped: features of a picture alone, and the logit they give."""

    def features(self, picture: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, F]."""

    def score(self, features: Tensor) -> Tensor:
        """[N, F] -> [N]."""


class TwoPlayer(Algorithm):
    """A generator (noise[, label]) -> picture against a discriminator (picture[, label]) -> DiscriminatorOutput."""

    def __init__(self, setting: Setting, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__(setting)
        recipe = self.recipe
        self.generator, self.discriminator = self.prepare(generator), self.prepare(discriminator)
        self.average = ema.averaged_copy(self.generator)
        self.generator_optimizer = adam(recipe.optimizer.generator, list(self.generator.parameters()))
        self.discriminator_optimizer = adam(recipe.optimizer.discriminator, list(self.discriminator.parameters()))
        self.histories = self._histories()
        self.adaptive = AdaptiveProbability(recipe.augment, self.device) if recipe.augment.adaptive else None

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
        self._before_step(batch, random)
        stats: dict[str, Tensor] = {}
        for index, part in enumerate(batch.chunks(self.recipe.optimizer.discriminator_steps)):
            fake = self._generate(part, random, f"latents.{index}")
            stats = self._move_discriminator(part, fake, random, f"augment.{index}")
        stats |= self._move_generator(part, fake, random)
        self._average(random.step)
        return stats | self._adapt(stats)

    def sample(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures of the averaged generator in evaluation mode."""
        network = self.average.eval()
        with torch.no_grad(), self.autocast():
            return cast(Tensor, network(latents, labels if self.classes else None)).float()

    def draw(self, latents: Tensor, labels: Tensor | None, random: StepRandom) -> list[Tensor]:
        """One picture each, in training mode."""
        self._measure_reference(self.generator)
        with self.autocast():
            return [cast(Tensor, self.generator(latents, labels)).float()]

    def state_dict(self) -> dict[str, Any]:
        """Networks, average and both optimisers."""
        return networks_state(self._parts())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        load_networks_state(self._parts(), state)

    def refresh_statistics(self, random: StepRandom) -> None:
        """Standing statistics: the averaged weights see fresh latents, and BatchNorm keeps the mean over all of them."""
        prior = self.recipe.latent
        self._measure_reference(self.average)
        with self.autocast():
            recompute_batch_norms(
                self.average,
                (
                    (
                        random.latents("standing", 64, prior.size, prior.distribution),
                        self._one_hot(random.integers("standing", self.classes, 64)) if self.classes else None,
                    )
                    for _ in range(self.recipe.ema.standing_batches)
                ),
            )

    def export_levels(self) -> list[Level]:
        """One level: noise (and label) to picture."""
        network = plain_copy(self.average)
        fold_batch_norms(network)
        prior, data = self.recipe.latent, self.data
        return [Level(network, (prior.size,), data.size, data.channels, takes_label=self.classes > 0, width=data.width)]

    def generators(self) -> list[tuple[nn.Module, nn.Module]]:
        """The one there is."""
        return [(self.generator, self.average)]

    def discriminators(self) -> list[dict[str, nn.Module]]:
        """The one there is."""
        return [{"discriminator": self.discriminator}]

    def critic(self, discriminator: Scorer) -> Critic:
        """The discriminator as it is shipped.

        Relativistic pairs fix only differences of logits, so that none of them is "undecided" by itself: there, 0 is made
        the mean logit of generated pictures, and what is above it is more real than those.
        """
        if not losses.needs_pairs(self.recipe.loss.kind):
            return Critic(discriminator)
        prior = self.recipe.latent
        fixed = StepRandom(self.recipe.run.seed, 0, device=self.device)
        latents = fixed.latents("undecided", CENTRED_ON, prior.size, prior.distribution)
        labels = self._one_hot(torch.arange(CENTRED_ON, device=self.device) % self.classes) if self.classes else None
        with torch.no_grad():
            logits = discriminator.score(discriminator.features(self.sample(latents, labels).cpu()))
        return Critic(discriminator, float(logits.mean()))

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            **self.histories,
            **({} if self.adaptive is None else {"augment_probability": self.adaptive}),
        }

    @property
    def augment_probability(self) -> Tensor | None:
        """The share of pictures each augmentation changes; None where it changes all."""
        return None if self.adaptive is None else self.adaptive.value

    def _adapt(self, stats: dict[str, Tensor]) -> dict[str, Tensor]:
        """Adaptive augmentation after a move of the discriminator: steers by its accuracy on real pictures or pairs."""
        if self.adaptive is None:
            return {}
        accuracy = stats["pair_accuracy"] if "pair_accuracy" in stats else stats["real_accuracy"]
        self.adaptive.learn(accuracy, self.setting.local_batch)
        return {"augment_probability": self.adaptive.value}

    def _histories(self) -> dict[str, HistoricalAverage]:
        """One for each player where the recipe asks for historical averaging."""
        if not self.recipe.technique.historical:
            return {}
        return {
            "generator_history": HistoricalAverage(self.generator.parameters()),
            "discriminator_history": HistoricalAverage(self.discriminator.parameters()),
        }

    def _before_step(self, batch: Batch, random: StepRandom) -> None:
        """Sets the learning rates; the very first step starts weight-normalised layers from its data."""
        self._set_rates(random.step)
        if random.step == 0:
            start = self.recipe.semi_supervised.initialise_with
            weight_norm.start_from_data(self.discriminator, batch.pictures[:start], batch.labels)
            self.parallel.broadcast(self.discriminator)

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
        return self.draw(latents, batch.labels, random)[0]

    def _measure_reference(self, network: nn.Module) -> None:
        """Virtual batch norm: the same latents every step, drawn once for the run."""
        prior, batch = self.recipe.latent, self.setting.local_batch
        fixed = StepRandom(self.recipe.run.seed, 0, device=self.device)

        def run_reference() -> None:
            labels = self._one_hot(torch.arange(batch, device=self.device) % self.classes) if self.classes else None
            with self.autocast():
                network(fixed.latents("reference", batch, prior.size, prior.distribution), labels)

        virtual_norm.measure(network, run_reference)

    def _discriminate(
        self, pictures: Tensor, labels: Tensor | None, random: StepRandom, purpose: str
    ) -> DiscriminatorOutput:
        seen = augment(pictures, self.recipe.augment.policy, random, purpose, self.augment_probability)
        if self.recipe.run.channels_last:
            seen = seen.contiguous(memory_format=torch.channels_last)
        with self.autocast():
            output: DiscriminatorOutput = self.discriminator(seen, labels)
        classes = None if output.classes is None else output.classes.float()
        return DiscriminatorOutput(output.logit.float(), output.features, classes)

    def _move_discriminator(self, batch: Batch, fake: Tensor, random: StepRandom, purpose: str) -> dict[str, Tensor]:
        table, labels = self.recipe.loss, batch.labels
        self.discriminator.requires_grad_(True)
        real_says = self._discriminate(batch.pictures, labels, random, f"{purpose}.real")
        fake_says = self._discriminate(fake.detach(), labels, random, f"{purpose}.fake")
        loss = losses.DISCRIMINATOR_LOSSES[table.kind](real_says.logit, fake_says.logit, table.real_target)
        stats = {
            "discriminator_loss": loss.detach(),
            "real_accuracy": losses.accuracy(real_says.logit, real=True),
            "fake_accuracy": losses.accuracy(fake_says.logit, real=False),
        }
        if real_says.classes is not None and labels is not None:
            cost = losses.auxiliary_loss(real_says.classes, labels)
            loss, stats["class_loss_real"] = loss + table.auxiliary * cost, cost.detach()
        for name, weight, pictures in self._penalised(batch.pictures, fake, random.step):
            penalty = self._penalty(pictures, labels)
            loss, stats[name] = loss + weight * penalty, penalty.detach()
        self._descend(loss, self.discriminator_optimizer, self.discriminator)
        return stats

    def _penalised(self, real: Tensor, fake: Tensor, step: int) -> list[tuple[str, float, Tensor]]:
        """Whose gradient is penalised at a step: (name, weight, pictures) of R1 and R2, as far as they are on."""
        table = self.recipe.loss
        wanted = (("r1", table.r1_gamma, real), ("r2", table.r2_gamma, fake))
        due = step % table.r1_every == 0
        return [(name, 0.5 * gamma * table.r1_every, seen) for name, gamma, seen in wanted if gamma and due]

    def _penalty(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        """In float32: the second derivative loses too much in bf16."""
        pictures = pictures.detach().requires_grad_(True)
        output: DiscriminatorOutput = self.discriminator(pictures, labels)
        return losses.zero_centred_penalty(output.logit, pictures)

    def _move_generator(self, batch: Batch, fake: Tensor, random: StepRandom) -> dict[str, Tensor]:
        table, labels = self.recipe.loss, batch.labels
        self.discriminator.requires_grad_(False)  # its gradients would be computed for nothing
        output = self._discriminate(fake, labels, random, "augment.generator")
        loss = self._generator_loss(output, batch, random)
        stats = {"generator_loss": loss.detach()}
        if output.classes is not None and labels is not None:
            cost = losses.auxiliary_loss(output.classes, labels)
            loss, stats["class_loss_fake"] = loss + table.auxiliary * cost, cost.detach()
        self._descend(loss, self.generator_optimizer, self.generator)
        return stats

    def _generator_loss(self, output: DiscriminatorOutput, batch: Batch, random: StepRandom) -> Tensor:
        """The recipe's cost, or feature matching in its place."""
        matching = self.recipe.technique.feature_matching
        kind, real = self.recipe.loss.kind, None
        if matching != "none" or losses.needs_pairs(kind):
            with torch.no_grad():
                real = self._discriminate(batch.pictures, batch.labels, random, "augment.matched")
        if matching == "none" or real is None:
            return losses.generator_loss(kind, output.logit, None if real is None else real.logit)
        return losses.feature_matching(real.features.float(), output.features.float(), matching)

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, network: nn.Module) -> None:
        history = self.histories.get("generator_history" if network is self.generator else "discriminator_history")
        if history is not None:
            loss = loss + self.recipe.technique.historical * history.penalty()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.parallel.average_gradients(network.parameters())
        optimizer.step()
        virtual_norm.forget(network)
        if history is not None:
            history.remember()

    def _average(self, step: int) -> None:
        self._average_into(self.average, self.generator, self.recipe.ema.images, step)

    def _average_into(self, average: nn.Module, network: nn.Module, half_life: int, step: int) -> None:
        """One update of an averaged copy, if this step has one; half-life in pictures, 0: a plain copy."""
        table, batch = self.recipe.ema, self.recipe.run.batch
        done = step + 1
        if done % table.every == 0 or done == self.recipe.run.steps:
            keep = ema.decay(half_life, table.rampup, batch * table.every, done * batch) if half_life else 0.0
            ema.update(average, network, keep)

    def _one_hot(self, labels: Tensor) -> Tensor:
        return nn.functional.one_hot(labels, self.classes).float()


class Critic(nn.Module):
    """A discriminator as it is shipped: picture -> (logit [N], features [N, F]), the label left out.

    The features are taken before any minibatch layer, and that layer answers with its running mean. `undecided`: the
    discriminator's own logit that is shipped as 0.
    """

    def __init__(self, discriminator: Scorer, undecided: float = 0.0) -> None:
        super().__init__()
        self.discriminator, self.undecided = discriminator, undecided

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Picture [N, C, H, W] in [-1, 1] -> unconditional logit [N] and features [N, F]."""
        features = self.discriminator.features(picture)
        return self.discriminator.score(features) - self.undecided, features
