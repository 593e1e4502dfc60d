"""Losses and averages: the numbers they promise."""

import math

import pytest
import torch

from training.algorithms.base import decayed_rate
from training.methods import ema, losses
from training.methods.adaptive import AdaptiveProbability
from training.methods.history import HistoricalAverage
from training.methods.standing import recompute_batch_norms
from training.recipes.tables import AugmentTable


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


def test_costs_are_those_of_the_papers() -> None:
    """Each formula at a few logits, computed by hand."""
    real, fake = torch.tensor([0.5, -2.0]), torch.tensor([0.25, 1.5])
    two = {kind: float(judge(real, fake, 1.0)) for kind, judge in losses.DISCRIMINATOR_LOSSES.items()}
    one = {kind: float(losses.generator_loss(kind, fake, real)) for kind in losses.DISCRIMINATOR_LOSSES}

    def soft(*logits: float) -> float:
        return sum(math.log1p(math.exp(logit)) for logit in logits) / len(logits)

    expected = {
        "nonsaturating": (soft(-0.5, 2.0) + soft(0.25, 1.5), soft(-0.25, -1.5)),
        "hinge": ((0.5 + 3.0) / 2 + (1.25 + 2.5) / 2, -(0.25 + 1.5) / 2),
        "least_squares": (0.5 * ((0.25 + 9) / 2 + (1.5625 + 6.25) / 2), 0.5 * (0.5625 + 0.25) / 2),
        "relativistic": (soft(0.25 - 0.5, 1.5 + 2.0), soft(0.5 - 0.25, -2.0 - 1.5)),
    }
    assert {kind: (two[kind], one[kind]) for kind in two} == {k: pytest.approx(v) for k, v in expected.items()}
    sure, mistaken = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    label = torch.tensor([[0.0, 1.0, 0.0]])
    assert float(losses.auxiliary_loss(mistaken, label)) == pytest.approx(-math.log(math.e**2 / (math.e**2 + 2)))
    assert float(losses.auxiliary_loss(sure, label)) > 8


def test_a_hidden_label_costs_nothing() -> None:
    """A row of zeros says no class: the cost is that of the others, and zero where all are hidden."""
    logits, labels = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    half = labels * torch.tensor([1.0, 0.0, 1.0, 0.0])[:, None]
    assert float(losses.auxiliary_loss(logits, half)) == pytest.approx(
        float(losses.auxiliary_loss(logits[[0, 2]], labels[[0, 2]]))
    )
    assert float(losses.auxiliary_loss(logits, torch.zeros(4, 3))) == 0


def test_accuracy_counts_what_is_on_the_right_side() -> None:
    """Undecided is not right, whatever the picture was."""
    logits = torch.tensor([1.0, -1.0, 2.0, 0.0])
    assert (float(losses.accuracy(logits, real=True)), float(losses.accuracy(logits, real=False))) == (0.5, 0.25)


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
    weight = torch.tensor(3.0, requires_grad=True)
    losses.zero_centred_penalty(weight * pictures.sum((1, 2, 3)), pictures).backward()
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(2 * 3.0 * 16), "the discriminator learns from it"


def test_the_average_forgets_by_half_lives() -> None:
    """After one half-life of pictures half of the old weight is left; young averages forget faster."""
    keep = ema.decay(half_life_images=1000, rampup=0, batch=10, images_seen=10)
    assert keep**100 == pytest.approx(0.5)
    assert ema.decay(1000, 0.05, 10, images_seen=100) < ema.decay(1000, 0.05, 10, images_seen=10_000) < keep
    assert ema.decay(1000, 0.05, 10, images_seen=100) == pytest.approx(0.25), "two half-lives of 5 pictures"
    assert ema.decay(1000, 0.05, 10, images_seen=0) == 0, "nothing is kept of the weights it began as"
    network, average = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    torch.nn.init.constant_(network.weight, 3.0)
    network.get_buffer("running_mean").fill_(7.0)
    ema.update(average, network, 0.5)
    assert average.weight.tolist() == [2.0, 2.0]
    assert average.get_buffer("running_mean").tolist() == [7.0, 7.0]


def test_the_averaged_copy_is_its_own() -> None:
    """No optimiser moves it, and what happens to the network does not happen to it."""
    network = torch.nn.Linear(2, 2)
    average = ema.averaged_copy(network)
    before = network.weight.detach().clone()
    torch.nn.init.zeros_(network.weight)
    assert torch.equal(average.get_parameter("weight"), before)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_adaptive_augmentation_finds_its_target() -> None:
    """More while the discriminator is right too often, less when it is not; never outside 0 … 1; a resumed run goes on."""
    table = AugmentTable(adaptive=0.6, adaptive_kimg=2)
    steered = AdaptiveProbability(table, torch.device("cpu"))
    assert float(steered.value) == 0
    steered.learn(torch.tensor(0.81), 200)
    assert float(steered.value) == pytest.approx(0.1), "2 * 0.81 - 1 is above 0.6: a tenth of two thousand pictures"
    steered.learn(torch.tensor(0.79), 100)
    assert float(steered.value) == pytest.approx(0.05)
    twin = AdaptiveProbability(table, torch.device("cpu"))
    twin.load_state_dict(steered.state_dict())
    assert torch.equal(twin.value, steered.value)
    for verdict, end in ((0.5, 0.0), (1.0, 1.0)):
        twin.learn(torch.tensor(verdict), 5000)
        assert float(twin.value) == end


def test_what_is_made_lies_where_the_networks_lie() -> None:
    """Here on torch's device without memory: nothing falls back to the processor."""
    steered = AdaptiveProbability(AugmentTable(adaptive=0.6), torch.device("meta"))
    steered.load_state_dict({"value": torch.tensor(0.5)})
    history = HistoricalAverage([torch.nn.Parameter(torch.empty(3, device="meta"))])
    assert {steered.value.device.type, history.penalty().device.type} == {"meta"}
    assert AdaptiveProbability(AugmentTable(adaptive=0.6), torch.device("meta")).value.is_meta


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
    assert float(network.get_buffer("norm.running_mean")) == pytest.approx(3.0)
    assert network.norm.momentum == 0.1
    assert not network.training


def test_learning_rates_fall_to_zero_at_the_end() -> None:
    """Constant, then a straight line."""
    rates = [decayed_rate(1.0, step, 100, 0.5) for step in (0, 49, 50, 75, 100)]
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.0]
    assert decayed_rate(1.0, 99, 100, 1.0) == 1.0
