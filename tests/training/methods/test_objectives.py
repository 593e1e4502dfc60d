"""Losses, augmentation and averages: the numbers they promise."""

import math

import pytest
import torch

from training.algorithms.base import decayed_rate
from training.compute.randomness import StepRandom
from training.methods import ema, losses
from training.methods.augment import POLICIES, augment
from training.methods.standing import recompute_batch_norms


def test_label_smoothing_softens_real_targets_only() -> None:
    """With target 0.9 the best real logit is log 9; fakes still want minus infinity (Salimans et al., 3.4)."""
    fake = torch.tensor([-30.0])
    at = {
        logit: float(losses.nonsaturating_discriminator(torch.tensor([logit]), fake, 0.9))
        for logit in (1.0, math.log(9), 4.0)
    }
    assert at[math.log(9)] == min(at.values())
    worse = losses.nonsaturating_discriminator(torch.tensor([2.0]), torch.tensor([-1.0]), 0.9)
    better = losses.nonsaturating_discriminator(torch.tensor([2.0]), torch.tensor([-9.0]), 0.9)
    assert better < worse


@pytest.mark.parametrize("kind", losses.DISCRIMINATOR_LOSSES)
def test_every_loss_pulls_the_players_apart(kind: str) -> None:
    """D gains from right logits, G from fooled ones."""
    right, wrong = torch.full((4,), 0.5), torch.full((4,), -0.5)
    cost, real = losses.DISCRIMINATOR_LOSSES[kind], torch.zeros(4)
    assert cost(right, wrong, 1.0) < cost(wrong, right, 1.0)
    assert losses.generator_loss(kind, right, real) < losses.generator_loss(kind, wrong, real)


def test_relativistic_pairs_count_differences_only() -> None:
    """Both logits moved by the same amount change nothing, equal ones cost log 2, and real pictures are no lever for G."""
    real, fake = torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([0.5, 3.0], requires_grad=True)
    moved = losses.relativistic_discriminator(real + 7, fake + 7)
    torch.testing.assert_close(moved, losses.relativistic_discriminator(real, fake))
    assert float(losses.relativistic_discriminator(real, real).detach()) == pytest.approx(math.log(2))
    losses.generator_loss("relativistic", fake, real).backward()
    assert real.grad is None
    assert fake.grad is not None
    assert bool((fake.grad < 0).all())
    with pytest.raises(ValueError, match="real pictures"):
        losses.generator_loss("relativistic", fake)


def test_penalty_of_a_linear_discriminator_is_its_squared_weight() -> None:
    """The gradient of a sum of pixels is one everywhere."""
    pictures = torch.randn(3, 1, 4, 4, requires_grad=True)
    penalty = losses.zero_centred_penalty(2.0 * pictures.sum((1, 2, 3)), pictures)
    assert float(penalty) == pytest.approx(4.0 * 16)


@pytest.mark.parametrize("name", POLICIES)
def test_augmentation_keeps_shape_passes_gradients_and_differs_by_picture(name: str) -> None:
    """The generator learns through it; each picture gets its own draw; the same step repeats it."""
    pictures = torch.rand(6, 3, 16, 16).mul(2).sub(1).mul(0.5)[:1].repeat(6, 1, 1, 1).requires_grad_(True)
    seen = augment(pictures, [name], StepRandom(0, 1), "a")
    assert seen.shape == pictures.shape
    assert torch.equal(seen, augment(pictures, [name], StepRandom(0, 1), "a"))
    assert len({float(picture.sum()) for picture in seen.detach()}) > 1
    (gradient,) = torch.autograd.grad(seen.sum(), pictures)
    assert gradient.abs().sum() > 0


def test_translation_moves_and_fills_with_black() -> None:
    """Every picture is the original, shifted by at most an eighth of its side."""
    picture = torch.rand(1, 1, 16, 16)
    padded = torch.nn.functional.pad(picture + 1, [2] * 4) - 1
    for moved in augment(picture.repeat(8, 1, 1, 1), ["translation"], StepRandom(0, 0), "a"):
        windows = (padded[0, :, y : y + 16, x : x + 16] for y in range(5) for x in range(5))
        assert any(torch.allclose(moved, window) for window in windows)


def test_the_average_forgets_by_half_lives() -> None:
    """After one half-life of pictures half of the old weight is left; young averages forget faster."""
    keep = ema.decay(half_life_images=1000, rampup=0, batch=10, images_seen=10)
    assert keep**100 == pytest.approx(0.5)
    assert ema.decay(1000, 0.05, 10, images_seen=100) < ema.decay(1000, 0.05, 10, images_seen=10_000) < keep
    network, average = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    torch.nn.init.constant_(network.weight, 3.0)
    network.running_mean.fill_(7.0)  # type: ignore[union-attr]
    ema.update(average, network, 0.5)
    assert average.weight.tolist() == [2.0, 2.0]
    assert average.running_mean.tolist() == [7.0, 7.0]  # type: ignore[union-attr]


def test_standing_statistics_are_the_mean_over_all_batches() -> None:
    """What sampling uses was measured on the very weights that sample."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(1, momentum=0.1)

        def forward(self, noise: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
            return self.norm(noise)

    network = Net()
    batches = [torch.full((4, 1, 2, 2), value) for value in (1.0, 2.0, 6.0)]
    recompute_batch_norms(network, ((batch, None) for batch in batches))
    assert float(network.norm.running_mean) == pytest.approx(3.0)  # type: ignore[arg-type]
    assert network.norm.momentum == 0.1
    assert not network.training


def test_learning_rates_fall_to_zero_at_the_end() -> None:
    """Constant, then a straight line."""
    rates = [decayed_rate(1.0, step, 100, 0.5) for step in (0, 49, 50, 75, 100)]
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.0]
    assert decayed_rate(1.0, 99, 100, 1.0) == 1.0
