"""A latent space is straightened: an attribute that bends through it lies straight behind the turns."""

import numpy as np
import torch

from models.mathematics.latents import Vector
from training.classifiers.directions import Study
from training.classifiers.straighten import straighten
from training.methods.linear_model import linear_share, normal_scores


def bent(count: int, seed: int) -> Study:
    """One attribute whose direction depends on another number's sign, and one that is straight already."""
    latents: Vector = np.random.RandomState(seed).standard_normal((count, 8)).astype(np.float32)
    first = np.where(latents[:, 0] > 0, latents[:, 5], latents[:, 6])
    return Study(latents, np.stack([10 * first + 3, np.exp(latents[:, 7])], 1).astype(np.float32), ("bent", "straight"))


def test_a_bent_attribute_becomes_straight_for_seeds_it_never_saw() -> None:
    """The bent one is half linear at first and mostly linear afterwards, the straight one stays."""
    lines: list[str] = []
    found = straighten(bent(4000, 0), 200, lines.append, layers=4)
    assert 0.4 < found.before["bent"] < 0.6
    assert found.after["bent"] > 0.8
    assert min(found.before["straight"], found.after["straight"]) > 0.95
    assert any("held out" in line for line in lines)
    fresh = bent(4000, 1)
    latents, answers = torch.from_numpy(fresh.latents), normal_scores(torch.from_numpy(fresh.logits))
    with torch.no_grad():
        share = linear_share(found.turns.inverse(latents), answers)
    assert share[0] > 0.8


def test_scores_keep_the_order_and_nothing_else() -> None:
    """Logits of any bend become the same normal numbers."""
    values = torch.tensor([[3.0], [1.0], [2.0]])
    scores = normal_scores(values)
    assert scores.flatten().tolist() == normal_scores(values.exp()).flatten().tolist()
    assert scores[1] < scores[2] == 0 < scores[0]


def test_the_same_study_gives_the_same_turns() -> None:
    """Chance is seeded; the last digits are the linear algebra's."""
    pair = [straighten(bent(1000, 0), 20, lambda line: None).turns.state_dict() for _ in range(2)]
    for name, one in pair[0].items():
        torch.testing.assert_close(one, pair[1][name], rtol=1e-3, atol=1e-4)
