"""The turns of a latent space: lengths and the distribution stay, every latent has one place, and at first nothing moves."""

import pytest
import torch

from training.networks.straightening import Straightening


@pytest.fixture(params=[8, 7])
def moved(request: pytest.FixtureRequest) -> Straightening:
    """Turns far from their beginning, of an even and an odd number of latents."""
    torch.manual_seed(request.param)
    turns = Straightening(request.param, hidden=16)
    with torch.no_grad():
        for parameter in turns.parameters():
            parameter.add_(0.7 * torch.randn_like(parameter))
    return turns.double().requires_grad_(False)


def normal(turns: Straightening, count: int) -> torch.Tensor:
    return torch.randn(count, turns.shuffles.shape[1], dtype=torch.float64)


def test_it_begins_with_the_space_as_it_is() -> None:
    """New turns leave latents where they are, but for some hundredths."""
    torch.manual_seed(0)
    latents = torch.randn(64, 32)
    assert (Straightening(32)(latents) - latents).square().mean().sqrt() < 0.03


def test_lengths_stay_and_every_latent_has_one_place(moved: Straightening) -> None:
    """Turned and turned back is the same; a length is kept to the last digits, though the latents moved far."""
    latents = normal(moved, 500)
    turned = moved(latents)
    assert (turned - latents).norm(dim=1).mean() > 1.0
    torch.testing.assert_close(turned.norm(dim=1), latents.norm(dim=1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(moved.inverse(turned), latents, rtol=1e-8, atol=1e-8)
    alone = torch.cat([moved(row[None]) for row in latents[:20]])
    torch.testing.assert_close(alone, turned[:20], rtol=1e-9, atol=1e-9)


def test_what_was_standard_normal_is_standard_normal(moved: Straightening) -> None:
    """Means, variances, fourth moments and products of 200,000 turned latents are those of independent normal numbers."""
    turned = moved(normal(moved, 200_000))
    assert turned.mean(0).abs().max() < 0.015
    assert (turned.T @ turned / len(turned) - torch.eye(turned.shape[1])).abs().max() < 0.02
    assert (turned.pow(4).mean(0) - 3).abs().max() < 0.15
    squares = turned.square() - 1
    products = squares.T @ squares / len(turned)
    assert (products - torch.diag(products.diag())).abs().max() < 0.04
