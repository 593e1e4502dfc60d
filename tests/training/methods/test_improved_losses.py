"""The costs of the Improved Techniques against direct computations with probabilities."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.methods import losses


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(0.1, 8.0))
def test_k_plus_one_costs_are_those_of_a_softmax_over_k_plus_one(seed: int, classes: int, spread: float) -> None:
    """log D and log(1 - D) from an explicit softmax whose last logit is 0."""
    logits = torch.randn(6, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * spread
    everything = torch.cat([logits, torch.zeros(6, 1, dtype=torch.float64)], 1).softmax(1)
    generated = everything[:, -1]
    assert torch.allclose(losses.unlabelled_real(logits), -(1 - generated).log().mean(), rtol=1e-6, atol=1e-9)
    assert torch.allclose(losses.generated(logits), -generated.log().mean(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_k_plus_one_costs_do_not_overflow(size: float) -> None:
    """Logits of ten thousand give finite costs and gradients."""
    logits = torch.full((3, 10), size, requires_grad=True)
    total = losses.unlabelled_real(logits) + losses.generated(logits)
    total.backward()
    assert torch.isfinite(total)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_feature_matching_compares_means_not_pictures() -> None:
    """Shuffled fakes cost nothing; both norms are those of the mean difference; real features are a fixed target."""
    real = torch.randn(8, 5, requires_grad=True)
    fake = (real.detach()[torch.randperm(8)]).requires_grad_(True)
    assert losses.feature_matching(real, fake, "l1") < 1e-6
    other = torch.randn(8, 5, requires_grad=True)
    difference = real.mean(0) - other.mean(0)
    assert torch.allclose(losses.feature_matching(real, other, "l1"), difference.abs().mean())
    squared = losses.feature_matching(real, other, "squared")
    assert torch.allclose(squared, difference.norm() ** 2)
    squared.backward()
    assert real.grad is None


def test_smoothing_is_one_sided() -> None:
    """With target 0.9 the best answer to a real picture is 0.9; a fake's best answer stays 0."""
    real, fake = torch.tensor([2.0], requires_grad=True), torch.tensor([-30.0], requires_grad=True)
    best = torch.logit(torch.tensor([0.9])).requires_grad_(True)
    losses.nonsaturating_discriminator(best, fake, 0.9).backward()
    assert best.grad is not None
    assert best.grad.abs() < 1e-6
    assert fake.grad is not None
    assert 0 <= fake.grad < 1e-9
    expected = (
        -(0.9 * torch.sigmoid(real).log() + 0.1 * (1 - torch.sigmoid(real)).log()) - (1 - torch.sigmoid(fake)).log()
    )
    assert torch.allclose(losses.nonsaturating_discriminator(real, fake, 0.9), expected.squeeze())
