"""LAPGAN (Denton et al. 2015): a Laplacian pyramid of conditional GANs, each level trained on its own.

Every level learns from the real low-pass picture, so levels need nothing of each other; one batch feeds them all. With
`pyramid.generated_share` a part of the batch comes from the coarser levels instead, as it will when sampling.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.manifest import Upsampling
from training.algorithms.base import Algorithm, Level, Setting, plain_copy
from training.algorithms.lapgan_level import LevelBatch, TrainedLevel
from training.algorithms.projected_level import ProjectedLevel
from training.compute.randomness import StepRandom
from training.data.batch import Batch
from training.methods.pyramid import Pyramid, enlarger
from training.methods.standing import recompute_batch_norms
from training.networks.dcgan import DiscriminatorOutput
from training.networks.efficientnet import pretrained_lite0
from training.networks.lapgan import (
    ConvolutionalBaseGenerator,
    FullBaseGenerator,
    FullDiscriminator,
    PlainDiscriminator,
    PlainResidual,
    ResidualLevel,
    StridedDiscriminator,
    SubpixelResidual,
)
from training.networks.layers import fold_batch_norms
from training.networks.modern import ModernGenerator
from training.networks.projected import ProjectedFeatures
from training.recipes.tables import PyramidTable

PREVIEWS = 64  # pictures an any-size run keeps to show what it does to them


class Lapgan(Algorithm):
    """One trained level a size, coarsest first; an any-size recipe has a single doubling level and no base."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        table, data = self.recipe.pyramid, self.data
        self.sizes = table.sizes
        self.pyramid = Pyramid(self.sizes, data.channels, table.operator).to(self.device)
        self.features = self._pretrained() if table.discriminator == "projected" else None
        finer = [self._residual_level(k) for k in range(1, len(self.sizes))]
        self.levels = finer if table.any_size else [self._base_level(), *finer]
        self.previews = torch.zeros(PREVIEWS, data.channels, self.sizes[0], self.sizes[0])

    @property
    def any_size(self) -> bool:
        """Whether this is an upsampler without a coarsest generator."""
        return self.recipe.pyramid.any_size

    @property
    def latent_size(self) -> int:
        """All levels' noise laid end to end, coarsest first; 0 for an upsampler, which draws no pictures."""
        return 0 if self.any_size else sum(_count(level.noise_shape) for level in self.levels)

    def step(self, batch: Batch, random: StepRandom) -> dict[str, Tensor]:
        """Every level moves once on the same real pictures; see `Algorithm.step`."""
        pictures = self.pyramid.pictures(batch.pictures)
        self._keep_previews(pictures[0], random.step)
        labels = self._hide_some(batch.labels, random)
        stats: dict[str, Tensor] = {}
        for index, level in enumerate(self.levels):
            if level.moves(random.step) and self._trains(level):
                stats |= level.step(self._level_batch(index, pictures, labels, random), random)
        return stats

    def sample(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures of the averaged generators, coarse to fine; an upsampler shows the previews doubled instead."""
        if self.any_size:
            return self._doubled_previews(len(latents))
        return self.chain(self._cut(latents.to(self.device)), labels)[-1]

    def draw(self, latents: Tensor, labels: Tensor | None, random: StepRandom) -> list[Tensor]:
        """The picture after each level; above the base, the labels of a share of pictures are hidden."""
        pictures: list[Tensor] = []
        shown = self._hide_some(labels, random)
        for level, noise in zip(self.levels, self._cut(latents), strict=True):
            previous = pictures[-1] if pictures else None
            told = labels if previous is None else shown
            pictures.append(level.picture(level.generator, previous, noise, told))
        return pictures

    def chain(self, noises: list[Tensor], labels: Tensor | None = None, previous: Tensor | None = None) -> list[Tensor]:
        """The picture after each level, from one noise a level; `previous` enters the chain at a later level."""
        pictures: list[Tensor] = []
        for level, noise in zip(self.levels[len(self.levels) - len(noises) :], noises, strict=True):
            previous = level.sample(previous, noise, labels)
            pictures.append(previous)
        return pictures

    def state_dict(self) -> dict[str, Any]:
        """Every level's, by size, and the previews."""
        return {str(level.size): level.state_dict() for level in self.levels} | {"previews": self.previews}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from `state_dict()`."""
        for level in self.levels:
            level.load_state_dict(state[str(level.size)])
        self.previews.copy_(state["previews"])

    def refresh_statistics(self, random: StepRandom) -> None:
        """Standing BatchNorm statistics of the base; the finer levels have no norms."""
        if self.any_size:
            return
        base, classes, batches = self.levels[0], len(self.data.classes), self.recipe.ema.standing_batches
        with self.autocast():
            recompute_batch_norms(
                base.average,
                (
                    (
                        base.noise(random, "standing", 64),
                        _one_hot(random.integers("standing.labels", classes, 64), classes) if classes else None,
                    )
                    for _ in range(batches)
                ),
            )

    def export_levels(self) -> list[Level]:
        """(noise[, label]) -> coarsest picture, then (previous, noise[, label]) -> picture, one graph a level."""
        return [self._export(level) for level in self.levels]

    def export_discriminator(self) -> nn.Module | None:
        """The finest level's discriminator, label hidden; none where it scores patches or pretrained features."""
        if self.recipe.pyramid.patches or self.features is not None:
            return None
        return FinestCritic(plain_copy(self.levels[-1].discriminator), len(self.data.classes))

    def generators(self) -> list[tuple[nn.Module, nn.Module]]:
        """One pair a level."""
        return [(level.generator, level.average) for level in self.levels]

    def discriminators(self) -> list[dict[str, nn.Module]]:
        """One a level."""
        return [{"discriminator": level.discriminator} for level in self.levels]

    def upsampling(self) -> Upsampling:
        """Any size, or one of the sides that levels take."""
        table = self.recipe.pyramid
        if self.any_size:
            return Upsampling(kind="any-size", max_factor=8, operator=table.operator)
        starts = table.start_sizes or self.sizes[:-1]
        return Upsampling(
            kind="fixed", start_sizes=starts, max_factor=self.sizes[-1] // starts[0], operator=table.operator
        )

    def _export(self, level: TrainedLevel) -> Level:
        module = plain_copy(level.average)
        residual = isinstance(module, ResidualLevel)
        if not residual:
            fold_batch_norms(module)
        return Level(
            module,
            level.noise_shape,
            level.size,
            self.data.channels,
            takes_previous=residual,
            takes_label=bool(self.data.classes),
            factor=2 if self.any_size else None,
            halo=cast(ResidualLevel, module).halo if residual else 0,
        )

    def _base_level(self) -> TrainedLevel:
        table, data, latent = self.recipe.pyramid, self.data, self.recipe.latent
        size, labels = self.sizes[0], len(data.classes)
        generator: nn.Module
        if table.base == "full":
            generator = FullBaseGenerator(table, size, data.channels, latent.size, labels)
        elif table.base == "modern":
            generator = ModernGenerator(self.recipe.generator, size, data.channels, latent.size, labels)
        else:
            generator = ConvolutionalBaseGenerator(table, size, data.channels, latent.size, labels)
        if self.features is not None:
            return ProjectedLevel(self.setting, size, (latent.size,), generator, self.features, self._every(0))
        discriminator = self._base_discriminator(size)
        return TrainedLevel(self.setting, size, (latent.size,), generator, discriminator, self._every(0))

    def _base_discriminator(self, size: int) -> nn.Module:
        table, channels, labels = self.recipe.pyramid, self.data.channels, len(self.data.classes)
        if table.base == "full":
            return FullDiscriminator(table, size, channels, labels)
        return StridedDiscriminator(table, size, channels, labels, table.base_discriminator_width)

    def _residual_level(self, index: int) -> TrainedLevel:
        table, channels, labels = self.recipe.pyramid, self.data.channels, len(self.data.classes)
        size = self.sizes[index]
        residual_of = PlainResidual if table.residual == "plain" else SubpixelResidual
        discriminator_of = PlainDiscriminator if table.discriminator == "plain" else StridedDiscriminator
        enlarge = enlarger(table.operator, self.sizes[index - 1], size, channels)
        shape = table.model_copy(update=_shape_of(table, index - 1))
        generator = ResidualLevel(enlarge, residual_of(shape, size, channels, labels))
        every = self._every(index - self.any_size)
        if self.features is not None:
            return ProjectedLevel(self.setting, size, (1, size, size), generator, self.features, every)
        discriminator = discriminator_of(table, size, channels, labels)
        return TrainedLevel(self.setting, size, (1, size, size), generator, discriminator, every)

    def _pretrained(self) -> ProjectedFeatures:
        """One frozen network for all levels."""
        stream = StepRandom(self.recipe.run.seed, 0).generator("projection")
        return cast(ProjectedFeatures, self.prepare(ProjectedFeatures(pretrained_lite0(), stream)))

    def _level_batch(self, index: int, pictures: list[Tensor], labels: Tensor | None, random: StepRandom) -> LevelBatch:
        if self.any_size:
            return LevelBatch(pictures[1], pictures[0])
        if index == 0:
            return LevelBatch(pictures[0], labels=labels)
        count = self._generated_count(len(pictures[0]), random.step)
        if not count:
            return LevelBatch(pictures[index], pictures[index - 1], labels=labels)
        made = self._generated(index, count, labels, random)
        previous = torch.cat([made, pictures[index - 1][count:]])
        matched = (torch.arange(len(previous), device=previous.device) >= count).float()
        return LevelBatch(pictures[index], previous, matched, labels)

    def _generated_count(self, pictures: int, step: int) -> int:
        table, steps = self.recipe.pyramid, self.recipe.run.steps
        return round(table.generated_share * pictures) if step >= table.generated_from * steps else 0

    def _generated(self, index: int, count: int, labels: Tensor | None, random: StepRandom) -> Tensor:
        """What the levels below `index` make of fresh noise: the pictures this level will meet when sampling."""
        rows = None if labels is None else labels[:count]
        picture: Tensor | None = None
        for level in self.levels[:index]:
            picture = level.sample(picture, level.noise(random, f"mix.{index}", count), rows)
        assert picture is not None
        return picture

    def _trains(self, level: TrainedLevel) -> bool:
        chosen = self.recipe.pyramid.train
        return not chosen or level.size in chosen

    def _every(self, index: int) -> int:
        every = self.recipe.pyramid.every
        return every[index] if every else 1

    def _hide_some(self, labels: Tensor | None, random: StepRandom) -> Tensor | None:
        share = self.recipe.pyramid.label_dropout
        if labels is None or not share:
            return labels
        return labels * (random.uniform("label_dropout", len(labels), 1) >= share)

    def _cut(self, latents: Tensor) -> list[Tensor]:
        counts = [_count(level.noise_shape) for level in self.levels]
        pieces = torch.split(latents, counts, 1)
        return [piece.reshape(-1, *level.noise_shape) for piece, level in zip(pieces, self.levels, strict=True)]

    def _keep_previews(self, pictures: Tensor, step: int) -> None:
        """The first pictures a run sees, until there are enough."""
        start = step * len(pictures)
        if start < PREVIEWS:
            kept = pictures[: PREVIEWS - start]
            self.previews[start : start + len(kept)] = kept.cpu()

    def _doubled_previews(self, count: int) -> Tensor:
        kept = self.previews[self.previews.flatten(1).any(1)]
        kept = self.previews if len(kept) == 0 else kept
        previous = kept[torch.arange(count) % len(kept)].to(self.device)
        random = StepRandom(self.recipe.run.seed, 0, device=self.device)
        return self.chain([self.levels[0].noise(random, "previews", count)], None, previous)[-1]


class FinestCritic(nn.Module):
    """The finest discriminator as it is shipped: picture -> (logit [N], features [N, F]), every label hidden."""

    def __init__(self, discriminator: nn.Module, labels: int) -> None:
        super().__init__()
        self.discriminator, self.labels = copy.deepcopy(discriminator), labels

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Picture [N, C, H, W] in [-1, 1] -> logit [N] and features [N, F]."""
        hidden = picture.new_zeros(picture.shape[0], self.labels) if self.labels else None
        output: DiscriminatorOutput = self.discriminator(picture, hidden)
        return output.logit, output.features


def _shape_of(table: PyramidTable, residual: int) -> dict[str, int]:
    """Width and units of one residual net, where a recipe gives each its own."""
    shape = {"width": table.widths[residual]} if table.widths else {}
    return shape | ({"units": table.unit_counts[residual]} if table.unit_counts else {})


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    return nn.functional.one_hot(labels, classes).float()
