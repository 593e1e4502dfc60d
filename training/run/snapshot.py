"""A snapshot of a run: checkpoint, grid, diversity, scores, the best checkpoint kept, and the run's page written anew."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from training.algorithms.base import Algorithm
from training.recipes.recipe import Recipe
from training.run import checkpoint, samples, scoring
from training.run.page import RunPage
from training.run.progress import Progress
from training.run.run_folder import RunFolder
from training.run.scoring import Best, Scorer
from training.run.stats import StatsFile

GRID_COLUMNS = 10
GRID_PICTURES = 100


@dataclass(frozen=True)
class Moment:
    """Where a run stands: steps done, seconds of training, real pictures seen."""

    step: int
    seconds: float
    images: int


class Snapshots:
    """Takes the snapshots of one run; `real`: pictures whose diversity is the measure of the samples'."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, real: Tensor, progress: Progress, scorer: Scorer | None = None
    ) -> None:
        self.recipe, self.folder, self.progress, self.scorer = recipe, folder, progress, scorer
        self._real_diversity = max(samples.diversity(real), 1e-8)
        self._page = RunPage(folder, recipe)

    def take(self, algorithm: Algorithm, moment: Moment, stats: StatsFile) -> bool:
        """Writes everything; whether the run should go on. The checkpoint comes first, so that a kill loses no training."""
        state = checkpoint.Checkpoint(moment.step, moment.seconds, algorithm.state_dict())
        saved = checkpoint.save(self.folder.checkpoints, state, self.recipe.run.keep_checkpoints)
        pictures = grid_pictures(algorithm)
        samples.save_grid(self.folder.grids / f"step-{moment.step:08d}.png", pictures, GRID_COLUMNS)
        goes_on = self._watch_diversity(pictures, moment, stats)
        if self.scorer is not None:
            started = time.monotonic()
            found = dict(self.scorer.score(algorithm))
            seconds = round(time.monotonic() - started, 1)
            stats.write(step=moment.step, seconds=round(moment.seconds, 3), **found, scoring_seconds=seconds)
            best = Best(moment.step, self.scorer.decides, found[self.scorer.decides])
            scoring.keep_if_better(self.folder.best, saved, best)
        self._page.write()
        return goes_on

    def _watch_diversity(self, pictures: Tensor, moment: Moment, stats: StatsFile) -> bool:
        fresh = samples.diversity(pictures)
        ratio = fresh / self._real_diversity
        stats.write(step=moment.step, seconds=round(moment.seconds, 3), diversity=fresh, diversity_ratio=ratio)
        if ratio >= samples.COLLAPSE_RATIO or moment.images < samples.COLLAPSE_AFTER_PICTURES:
            return True
        stops = self.recipe.run.on_collapse == "stop"
        self.progress.warn(
            f"step {moment.step}: samples differ only {ratio:.0%} as much as real pictures; "
            "the generator may have collapsed"
            + ("; stopped (run.on_collapse='warn' goes on, the best checkpoint is kept)" if stops else "")
        )
        return not stops


def grid_pictures(algorithm: Algorithm, first_seed: int = 0) -> Tensor:
    """The fixed-seed pictures of a grid: seeds first_seed …, one class per row where there are classes."""
    prior, classes = algorithm.recipe.latent, len(algorithm.data.classes)
    seeds = range(first_seed, first_seed + GRID_PICTURES)
    latents = samples.seed_latents(seeds, algorithm.latent_size, prior.distribution).to(algorithm.device)
    labels = samples.grid_labels(GRID_PICTURES, classes, GRID_COLUMNS)
    return algorithm.sample(latents, None if labels is None else labels.to(algorithm.device))
