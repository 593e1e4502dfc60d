"""The training loop: step, statistics, grid, checkpoint. It knows nothing of any particular GAN.

Everything a step draws comes from (seed, step), and the clock only decides when to look, save or stop, never what is
computed: a run killed at any step and resumed ends with the same weights as one left alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from training import algorithms
from training.algorithms.base import Setting
from training.compute.parallel import Parallel
from training.compute.randomness import StepRandom
from training.data.dataset import Dataset, Sampler
from training.recipes.recipe import Recipe
from training.run import checkpoint
from training.run.progress import Progress, Silent
from training.run.run_folder import RunFolder
from training.run.scoring import Scorer
from training.run.snapshot import GRID_PICTURES, Moment, Snapshots
from training.run.stats import Gatherer, StatsFile


@dataclass(frozen=True)
class Outcome:
    """How a run ended: steps done in all, seconds of training in all, and whether the recipe's steps are all done."""

    step: int
    seconds: float
    complete: bool


class Trainer:
    """One run of one recipe in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        folder: RunFolder,
        parallel: Parallel | None = None,
        progress: Progress | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        self.recipe, self.folder = recipe, folder
        self.parallel, self.progress = parallel or Parallel(), progress or Silent()
        self.device = torch.device(recipe.run.device)
        self.dataset = dataset.to(self.device)
        self.algorithm = algorithms.build(Setting(recipe, dataset.spec, self.device, self.parallel))
        self.sampler = Sampler(
            len(dataset),
            self.algorithm.pictures_per_step,
            recipe.run.seed,
            self.parallel.rank,
            self.parallel.world_size,
        )
        self.step, self.seconds, self._stopping = 0, 0.0, False
        self._gatherer = Gatherer()
        real = self.dataset.batch(self.sampler.indices(0)[:GRID_PICTURES]).pictures
        self._snapshots = Snapshots(recipe, folder, real, self.progress, scorer)

    def stop(self) -> None:
        """Asks `run` to end after the current step, with a checkpoint (for signal handlers)."""
        self._stopping = True

    def resume(self) -> None:
        """Continues from the folder's newest checkpoint, if it has one."""
        if self.folder.latest_step() is None:
            return
        saved = checkpoint.load(self.folder.checkpoint_path(), self.device)
        self.algorithm.load_state_dict(saved.algorithm)
        self.step, self.seconds = saved.step, saved.seconds

    def run(self) -> Outcome:
        """Trains until the recipe's steps or minutes are used up; the last state is always saved."""
        stats = None
        if self.parallel.is_main:
            self.folder.write_facts(self.dataset.classes, len(self.dataset))
            stats = StatsFile(self.folder.stats_file, self.step)
        self.progress.start(self.recipe.run.steps, self.step)
        self._begin()
        try:
            while not self._finished():
                self._one_step()
                self._report_if_due(stats)
                if self.parallel.agree(self._snapshot_due()):
                    self.snapshot(stats)
            self._log(stats)
            if self._snapshot_step != self.step and self.step > self._first_step:
                self.snapshot(stats)
        finally:
            self.progress.stop()
            if stats is not None:
                stats.close()
        return Outcome(self.step, self._elapsed(), self.step >= self.recipe.run.steps)

    def snapshot(self, stats: StatsFile | None) -> None:
        """Checks the numbers, then see `Snapshots.take`."""
        self._log(stats)
        self._snapshot_step, self._snapshot_time = self.step, time.monotonic()
        if not self.parallel.is_main:
            return
        assert stats is not None
        self.algorithm.refresh_statistics(StepRandom(self.recipe.run.seed, self.step, 0, self.device))
        if not self._snapshots.take(self.algorithm, Moment(self.step, self._elapsed(), self._images()), stats):
            self.stop()
        self._log_time = time.monotonic()  # pictures a second are of training alone

    def _begin(self) -> None:
        self._started = self._snapshot_time = time.monotonic()
        self._first_step = self.step
        self._seconds_before, self._snapshot_step, self._log_step = self.seconds, -1, self.step
        self._log_time = self._started

    def _one_step(self) -> None:
        run = self.recipe.run
        random = StepRandom(run.seed, self.step, self.parallel.rank, self.device)
        random.seed_global()
        batch = self.dataset.batch(self.sampler.indices(self.step), random)
        self._gatherer.add(self.algorithm.step(batch, random))
        self.step += 1

    def _finished(self) -> bool:
        run = self.recipe.run
        out_of_time = run.max_minutes > 0 and self._elapsed() >= run.max_minutes * 60
        return self.step >= run.steps or self.parallel.agree(out_of_time or self._stopping)

    def _snapshot_due(self) -> bool:
        run = self.recipe.run
        by_clock = run.snapshot_minutes > 0 and time.monotonic() - self._snapshot_time >= run.snapshot_minutes * 60
        return by_clock or (run.snapshot_every > 0 and self.step % run.snapshot_every == 0)

    def _report_if_due(self, stats: StatsFile | None) -> None:
        if self.step % self.recipe.run.log_every == 0:
            self._log(stats)

    def _log(self, stats: StatsFile | None) -> None:
        steps = self.step - self._log_step
        if steps == 0:
            return
        means = self._gatherer.take(self.step)
        now = time.monotonic()
        per_step = self.algorithm.pictures_per_step * self.parallel.world_size
        rate = steps * per_step / max(now - self._log_time, 1e-9)
        self._log_step, self._log_time = self.step, now
        self.progress.update(self.step, rate, means)
        if stats is not None:
            stats.write(
                step=self.step,
                images=self._images(),
                seconds=round(self._elapsed(), 3),
                images_per_second=round(rate, 1),
                **means,
            )

    def _images(self) -> int:
        return self.step * self.algorithm.pictures_per_step * self.parallel.world_size

    def _elapsed(self) -> float:
        return self._seconds_before + time.monotonic() - self._started
