"""The latent whose picture is nearest to a given one, by gradient search through the generator in torch.

Many latents are drawn and the best few kept (this replaces an encoder); these descend together by Adam on a
multi-scale picture loss; the most promising go on with the discriminator's features too, where the bundle has one;
the best is polished by L-BFGS.
After Lipton and Tripathi, "Precise recovery of latent vectors from generative adversarial networks": values that
leave a uniform prior's box are drawn anew instead of sticking to its wall.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.bundle import Bundle
from models.mathematics.latents import Vector, draw
from models.runtimes.base import Array, one_hot
from models.runtimes.torchscript import TorchScriptRuntime, import_torch

Progress = Callable[[int, int, float, Array], None]
SMALLEST_SCALE = 4
FEATURE_WEIGHT = 0.05
OUTSIDE_WEIGHT = 0.05
REPORT_EVERY = 10


class CancelledError(Exception):
    """The caller asked to stop; nothing was found."""


@dataclass(frozen=True)
class Search:
    """How hard to look. `candidates` latents are drawn, the best `restarts` descend for `steps` steps each."""

    restarts: int = 6
    steps: int = 200
    candidates: int = 256
    polish: int = 60
    seed: int = 0
    features: bool = True
    good_enough_db: float = 40.0


@dataclass(frozen=True)
class Projection:
    """What was found: the latent [size], its picture float32 [c, h, w], and how far that is from the target."""

    vector: Vector
    picture: Array
    psnr_db: float
    rmse: float
    steps: int


def project(
    bundle: Bundle,
    target: Array,
    search: Search,
    *,
    label: int | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Projection:
    """Search for `target` float32 [c, h, w] in -1..1. The same seed, threads and machine give the same latent.

    `progress` gets (steps done, steps in all, best PSNR in dB, best picture). Raises RuntimeUnavailableError without
    torch or a graph it can run, CancelledError when `cancelled` says so.
    """
    import_torch()
    return _Searcher(bundle, target, search, label, threads, progress, cancelled).run()


class _Searcher:
    def __init__(
        self,
        bundle: Bundle,
        target: Array,
        search: Search,
        label: int | None,
        threads: int,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self.torch: Any = import_torch()
        self.search, self.progress, self.cancelled = search, progress, cancelled
        self.prior = bundle.manifest.latent
        self.graph = Graph(bundle, label, threads)
        self.target = self.torch.from_numpy(np.ascontiguousarray(target[None]))
        self.scales = self._pyramid(self.target)
        self.wanted = self.graph.features(self.target) if search.features else None
        self.done, self.best = 0, (float("inf"), np.zeros(self.prior.size, np.float32))
        self.total = search.steps + search.polish

    def run(self) -> Projection:
        rows = self.torch.from_numpy(self._starts())
        first, rest = self.search.steps // 3, self.search.steps - self.search.steps // 3
        rows = self._descend(rows, first, warm=True)
        if not self._found():
            kept = max(1, len(rows) // 3)  # most restarts are lost early; the time goes to the promising ones
            order = self._pixel_loss(self._pictures(rows)).argsort()[:kept]
            self._descend(rows[order], rest, warm=False)
        self._polish()
        return self._result()

    def _starts(self) -> Vector:
        """The drawn latents whose pictures are nearest, [restarts, size]."""
        seeds = [(self.search.seed + k) % (1 << 32) for k in range(max(self.search.candidates, self.search.restarts))]
        drawn = draw(self.prior, seeds)
        losses = []
        with self.torch.no_grad():
            for start in range(0, len(drawn), 32):
                self._stop_if_asked()
                losses.append(self._loss(self.graph(self.torch.from_numpy(drawn[start : start + 32])), False).numpy())
        return drawn[np.argsort(np.concatenate(losses), kind="stable")[: self.search.restarts]]

    def _descend(self, rows: Any, steps: int, *, warm: bool) -> Any:
        """Adam on all rows at once, each with its own loss; keeps the best latent seen. Returns where the rows are."""
        torch = self.torch
        z = rows.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([z], lr=0.1 if warm else 0.06)
        redraw = np.random.RandomState(self.search.seed)
        for step in range(steps):
            self._stop_if_asked()
            optimiser.param_groups[0]["lr"] = (0.1 if warm else 0.06) * (1 - 0.9 * step / steps if not warm else 1.0)
            pictures = self.graph(z)
            loss = self._loss(pictures, features=not warm)
            optimiser.zero_grad()
            (loss.sum() + self._outside(z)).backward()
            self._remember(z.detach(), pictures.detach())
            if self._found():
                break
            optimiser.step()
            self._bring_inside(z, redraw)
            self.done += 1
        return z.detach()

    def _polish(self) -> None:
        """L-BFGS on the pixels alone, from the best latent found."""
        torch = self.torch
        z = torch.from_numpy(self.best[1][None].copy()).requires_grad_(True)
        optimiser = torch.optim.LBFGS([z], max_iter=1, history_size=20, line_search_fn="strong_wolfe")

        def closure() -> Any:
            optimiser.zero_grad()
            loss = self._pixel_loss(self.graph(self._boxed(z))).sum()
            loss.backward()
            return loss

        for _ in range(self.search.polish):
            self._stop_if_asked()
            before = float(optimiser.step(closure).detach())
            with torch.no_grad():
                inside = self._boxed(z)
                self._remember(inside, self.graph(inside))
            self.done += 1
            if before - self.best[0] < 1e-4 * before or before < 1e-7:
                break

    def _loss(self, pictures: Any, features: bool) -> Any:
        """One number a row: squared error at every scale, and of the discriminator's features if wanted."""
        total = self._pixel_loss(pictures)
        for ours, theirs in zip(self._pyramid(pictures)[1:], self.scales[1:], strict=True):
            total = total + (ours - theirs).square().mean((1, 2, 3))
        if features and self.wanted is not None:
            scale = self.wanted.square().mean() + 1e-6
            total = total + FEATURE_WEIGHT * (self.graph.features(pictures) - self.wanted).square().mean(1) / scale
        return total

    def _pixel_loss(self, pictures: Any) -> Any:
        return (pictures - self.target).square().mean((1, 2, 3))

    def _pyramid(self, pictures: Any) -> list[Any]:
        levels = [pictures]
        while min(levels[-1].shape[2:]) >= 2 * SMALLEST_SCALE:
            levels.append(self.torch.nn.functional.avg_pool2d(levels[-1], 2))
        return levels

    def _outside(self, z: Any) -> Any:
        """A gentle pull back to the shell for latents much longer than the prior's: their pictures fall apart."""
        if self.prior.distribution == "uniform":
            return 0.0
        length = z.square().mean(1).sqrt()
        return OUTSIDE_WEIGHT * (length - 1.25).clamp_min(0).square().sum()

    def _bring_inside(self, z: Any, redraw: np.random.RandomState) -> None:
        if self.prior.distribution != "uniform":
            return
        with self.torch.no_grad():
            fresh = self.torch.from_numpy(redraw.uniform(-1, 1, tuple(z.shape)).astype(np.float32))
            z.copy_(self.torch.where(z.abs() > 1, fresh, z))

    def _boxed(self, z: Any) -> Any:
        return z.clamp(-1, 1) if self.prior.distribution == "uniform" else z

    def _pictures(self, rows: Any) -> Any:
        with self.torch.no_grad():
            return self.graph(rows)

    def _remember(self, rows: Any, pictures: Any) -> None:
        losses = self._pixel_loss(pictures)
        k = int(losses.argmin())
        if float(losses[k]) < self.best[0]:
            self.best = (float(losses[k]), rows[k].numpy().copy())
        if self.progress is not None and self.done % REPORT_EVERY == 0:
            self.progress(self.done, self.total, decibels(self.best[0]), pictures[k].numpy())

    def _found(self) -> bool:
        return decibels(self.best[0]) >= self.search.good_enough_db

    def _stop_if_asked(self) -> None:
        if self.cancelled():
            raise CancelledError("the search was cancelled")

    def _result(self) -> Projection:
        error, vector = self.best
        picture = self._pictures(self.torch.from_numpy(vector[None]))[0].numpy()
        return Projection(vector, picture, decibels(error), float(np.sqrt(error)), self.done)


class Graph:
    """The whole generator as one differentiable function of flat latents [n, size], and the discriminator's features."""

    def __init__(self, bundle: Bundle, label: int | None, threads: int) -> None:
        self._torch: Any = import_torch()
        self._runtime = TorchScriptRuntime(bundle, threads=threads)
        self._bundle, self._label = bundle, label
        self._levels = [self._runtime.module(level.files) for level in bundle.manifest.levels]

    def __call__(self, z: Any) -> Any:
        """Pictures [n, c, h, w] of latents [n, size]."""
        picture, start = None, 0
        for level, module, part in zip(
            self._bundle.manifest.levels, self._levels, self._bundle.manifest.latent.cuts, strict=True
        ):
            noise = z[:, start : start + part.size].reshape(len(z), *part.shape)
            start += part.size
            inputs = [x for x in (picture, noise, self._one_hot(len(z)) if level.label else None) if x is not None]
            picture = module(*inputs)
        return picture

    def features(self, pictures: Any) -> Any:
        """The discriminator's features [n, f]; None for a bundle without a discriminator."""
        discriminator = self._bundle.manifest.discriminator
        if discriminator is None:
            return None
        inputs = [pictures, self._one_hot(len(pictures))] if discriminator.label else [pictures]
        return self._runtime.module(discriminator.files)(*inputs)[1].flatten(1)

    def _one_hot(self, count: int) -> Any:
        labels: Sequence[int | None] = [self._label] * count
        return self._torch.from_numpy(one_hot(labels, len(self._bundle.manifest.labels or ())))


def decibels(mean_square: float) -> float:
    """PSNR in dB of a mean squared error between pictures in -1..1, whose peak-to-peak is 2."""
    return float(10 * np.log10(4.0 / max(mean_square, 1e-12)))
