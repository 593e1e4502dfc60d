"""`man with glasses - man + woman`, many times: exemplars drawn at random, each sum judged by a classifier."""

from dataclasses import dataclass

import numpy as np
import torch

from models.mathematics.latents import Vector, draw, mean, normalise
from models.mathematics.walks import neighbours
from training.classifiers.directions import Lens, Study
from training.export.straight import turns_of
from training.networks.straightening import Straightening

SURE, CLEAR, STRIKING = 1.0, 3.0, 6.0
"""|logit| from which the classifier is sure, a picture is a clear example, a striking one; logits' own deviation is 6."""
TRIALS = 200
RANDOM = 0
STRENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class Concept:
    """Seeds the classifier is sure of: |logit| of glasses and male above `SURE`, with these signs."""

    name: str
    glasses: int
    male: int


MAN_GLASSES, MAN, WOMAN = Concept("man with glasses", 1, 1), Concept("man", -1, 1), Concept("woman", -1, -1)


class Laboratory:
    """A generator, a classifier, and the seeds of every concept."""

    def __init__(self, lens: Lens, found: Study) -> None:
        self.lens, self.found = lens, found
        self.prior = lens.bundle.manifest.latent
        self.turns = turns_of(lens.bundle)
        self.glasses, self.male = found.names.index("eyeglasses"), found.names.index("male")

    def seeds(self, concept: Concept, sure: float = SURE) -> np.ndarray:
        """Seeds of a concept, ascending."""
        glasses = concept.glasses * self.found.logits[:, self.glasses] > sure
        return np.flatnonzero(glasses & (concept.male * self.found.logits[:, self.male] > sure))

    def hits(self, latents: Vector) -> np.ndarray:
        """Which latents' pictures the classifier calls a woman with glasses."""
        logits = self.lens.logits(latents)
        return (logits[:, self.glasses] > 0) & (logits[:, self.male] < 0)


@dataclass(frozen=True)
class Trial:
    """Seeds of the exemplars of one equation: [3 concepts][exemplars]."""

    seeds: tuple[tuple[int, ...], ...]


def trials(laboratory: Laboratory, exemplars: int, sure: float = SURE) -> list[Trial]:
    """Random exemplars of man with glasses, man, woman for every trial."""
    random = np.random.RandomState(RANDOM)
    pools = [laboratory.seeds(concept, sure) for concept in (MAN_GLASSES, MAN, WOMAN)]
    picks = [[random.choice(pool, exemplars, replace=False) for pool in pools] for _ in range(TRIALS)]
    return [Trial(tuple(tuple(int(seed) for seed in part) for part in pick)) for pick in picks]


def result_of(laboratory: Laboratory, trial: Trial, turns: Straightening | None = None) -> Vector:
    """mean(man with glasses) - mean(man) + mean(woman), back on the prior; with `turns` computed behind them, in z."""
    parts = [draw(laboratory.prior, part) for part in trial.seeds]
    with torch.no_grad():
        if turns is not None:
            parts = [turns(torch.from_numpy(part)).numpy() for part in parts]
        a, b, c = (mean(list(part)) for part in parts)
        found = normalise(laboratory.prior, a - b + c)
        return found if turns is None else turns.inverse(torch.from_numpy(found[None]))[0].numpy()


def arithmetic(laboratory: Laboratory, exemplars: int, sure: float = SURE, *, behind: bool = False) -> np.ndarray:
    """Which trials give a woman with glasses; `behind` the turns, in the space the generator was trained with."""
    turns = laboratory.turns if behind else None
    return laboratory.hits(np.stack([result_of(laboratory, t, turns) for t in trials(laboratory, exemplars, sure)]))


def around(laboratory: Laboratory) -> float:
    """Share of the eight neighbours at ±0.25, over the trials whose centre is a woman with glasses."""
    centres = np.stack([result_of(laboratory, trial) for trial in trials(laboratory, 3)])
    centres = centres[laboratory.hits(centres)][:40]
    near = [neighbours(laboratory.prior, c, 0.25, 8, k, on_prior=True) for k, c in enumerate(centres)]
    return float(laboratory.hits(np.concatenate(near)).mean()) if len(near) else float("nan")


def by_direction(laboratory: Laboratory, vector: Vector) -> tuple[float, np.ndarray]:
    """The strength that does best on the first half of the women, and what it does on the second half."""
    women = draw(laboratory.prior, [trial.seeds[2][0] for trial in trials(laboratory, 1)])
    choose, test = women[: TRIALS // 2], women[TRIALS // 2 :]

    def moved(rows: Vector, strength: float) -> np.ndarray:
        return laboratory.hits(np.stack([normalise(laboratory.prior, row + strength * vector) for row in rows]))

    best = max(STRENGTHS, key=lambda strength: moved(choose, strength).mean())
    return best, moved(test, best)
