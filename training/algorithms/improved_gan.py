"""Semi-supervised GAN (Salimans et al. 2016, section 5): the discriminator classifies, the generator matches features.

D: cross-entropy on the labelled pictures + unlabelled_weight / 2 * (-E log D on unlabelled + -E log(1 - D) on generated),
D = Z / (Z + 1). G: feature matching on a second batch of unlabelled pictures, as in the released code.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.algorithms.base import Setting, plain_copy
from training.algorithms.two_player import TwoPlayer
from training.compute.randomness import StepRandom
from training.data.batch import Batch
from training.errors import RecipeError
from training.methods import ema, losses
from training.networks.semi_supervised import (
    Classified,
    ClassifierGraph,
    ConvolutionalClassifier,
    MlpClassifier,
    SoftplusGenerator,
    StridedGenerator,
    normalise_classifier,
    start_classifier,
    start_generator,
)


class ImprovedGan(TwoPlayer):
    """A K+1 classifier against an unconditional generator; `average_classifier` is what is tested and shipped."""

    def __init__(self, setting: Setting) -> None:
        generator, classifier = _networks(setting)
        first, table = StepRandom(setting.recipe.run.seed, 0), setting.recipe.semi_supervised
        start_generator(generator, first.generator("generator"))
        start_classifier(classifier, table.start_deviation, first.generator("discriminator"))
        normalise_classifier(classifier, table.learned_gains)
        self._fixed = {name for name, parameter in classifier.named_parameters() if not parameter.requires_grad}
        super().__init__(setting, generator, classifier)
        self.average_classifier = ema.averaged_copy(self.discriminator)

    @property
    def classes(self) -> int:
        """The generator is told of no labels."""
        return 0

    @property
    def pictures_per_step(self) -> int:
        """One unlabelled batch for each player."""
        return 2 * self.setting.local_batch

    @property
    def discriminator_kind(self) -> Literal["real", "classes"]:
        """K logits."""
        return "classes"

    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """D once, then G once on the same fakes and other real pictures."""
        self._before_step(batch, random)
        mine, theirs = batch.chunks(2)
        fake = self._generate(mine, random, "latents")
        stats = self._move_classifier(mine, fake, random)
        stats |= self._match(theirs, fake)
        self._average(random.step)
        half_life = self.recipe.semi_supervised.average_images
        self._average_into(self.average_classifier, self.discriminator, half_life, random.step)
        return stats

    def discriminators(self) -> list[dict[str, nn.Module]]:
        """The classifier and its average."""
        return [{"discriminator": self.discriminator, "average_classifier": self.average_classifier}]

    def export_discriminator(self) -> nn.Module | None:
        """The averaged classifier."""
        return ClassifierGraph(plain_copy(self.average_classifier))

    def _before_step(self, batch: Batch, random: StepRandom) -> None:
        super()._before_step(batch, random)
        if random.step == 0:
            self._start_generator(batch, random)
            self.parallel.broadcast(self.generator)

    def _start_generator(self, batch: Batch, random: StepRandom) -> None:
        if isinstance(self.generator, SoftplusGenerator):
            self.generator.start_from_data(batch.pictures)
        elif isinstance(self.generator, StridedGenerator):
            prior = self.recipe.latent
            self.generator.start_from_noise(
                random.latents("start", len(batch.pictures), prior.size, prior.distribution)
            )

    def _parts(self) -> dict[str, Any]:
        return super()._parts() | {"average_classifier": self.average_classifier}

    def _classify(self, pictures: Tensor) -> Classified:
        with self.autocast():
            answer: Classified = self.discriminator(pictures)
        return Classified(answer.classes.float(), answer.features.float())

    def _move_classifier(self, batch: Batch, fake: Tensor, random: StepRandom) -> dict[str, Tensor]:
        self._allow_gradients(True)
        known = _some_labelled(batch, random)
        logits = self._classify(torch.cat([known.pictures, batch.pictures, fake.detach()])).classes
        first, second = len(known.pictures), len(known.pictures) + len(batch.pictures)
        on_known, on_real, on_fake = logits[:first], logits[first:second], logits[second:]
        assert known.labels is not None
        truth = known.labels.argmax(1)
        supervised = F.cross_entropy(on_known, truth)
        real, generated = losses.unlabelled_real(on_real), losses.generated(on_fake)
        weight = 0.5 * self.recipe.semi_supervised.unlabelled_weight
        self._descend(supervised + weight * (real + generated), self.discriminator_optimizer, self.discriminator)
        return {
            "discriminator_loss": (real + generated).detach(),
            "labelled_loss": supervised.detach(),
            "labelled_accuracy": (on_known.argmax(1) == truth).float().mean(),
            "real_accuracy": losses.accuracy(losses.log_z(on_real), real=True),
            "fake_accuracy": losses.accuracy(losses.log_z(on_fake), real=False),
        }

    def _match(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        self._allow_gradients(False)
        with nn.utils.parametrize.cached():  # one weight normalisation for both passes
            with torch.no_grad():
                real = self._classify(batch.pictures).features
            features = self._classify(fake).features
        loss = losses.feature_matching(real, features, self.recipe.technique.feature_matching)
        self._descend(loss, self.generator_optimizer, self.generator)
        return {"generator_loss": loss.detach()}

    def _allow_gradients(self, wanted: bool) -> None:
        for name, parameter in self.discriminator.named_parameters():
            parameter.requires_grad_(wanted and name not in self._fixed)


def _networks(
    setting: Setting,
) -> tuple[SoftplusGenerator | StridedGenerator, MlpClassifier | ConvolutionalClassifier]:
    recipe, data = setting.recipe, setting.data
    table, noise = recipe.semi_supervised, recipe.latent.size
    if recipe.technique.feature_matching == "none":
        raise RecipeError("improved_gan's generator matches features: set technique.feature_matching")
    shape = (table, recipe.technique, data.size, data.channels, len(data.classes))
    if table.network == "mlp":
        return SoftplusGenerator(table, data.size, data.channels, noise), MlpClassifier(*shape)
    return StridedGenerator(table, data.size, data.channels, noise), ConvolutionalClassifier(*shape)


def _some_labelled(batch: Batch, random: StepRandom) -> Batch:
    """As many labelled pictures as the batch has, in fresh random order; a small set is gone through several times."""
    known, wanted = batch.labelled, len(batch.pictures)
    assert known is not None
    assert known.labels is not None
    device = known.pictures.device
    rounds = -(-wanted // len(known.pictures))
    order = torch.cat(
        [torch.randperm(len(known.pictures), generator=random.generator("labelled")) for _ in range(rounds)]
    )
    chosen = order[:wanted].to(device)
    return Batch(known.pictures[chosen], known.labels[chosen])
