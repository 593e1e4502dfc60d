"""The weight-normalised layer that scales its answer: the same function and gradients as torch's parametrisation."""

import pytest
import torch
from torch import Tensor, nn

from training.algorithms.base import plain_copy
from training.networks.scaled_linear import ScaledLinear
from training.networks.weight_norm import WEIGHT, normalise, start_from_data

PARTS = (f"{WEIGHT}.original0", f"{WEIGHT}.original1", "bias")


@pytest.fixture
def pair() -> tuple[nn.Module, nn.Module]:
    """Ours and torch's with the same numbers, gains other than 1."""
    torch.manual_seed(0)
    ours, plain = normalise(ScaledLinear(7, 5)), normalise(nn.Linear(7, 5))
    ours.get_parameter(PARTS[0]).data.uniform_(0.5, 2.0)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def answer(layer: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What the layer says and the gradients of a crooked cost: of x, gain, direction and bias."""
    x = x.clone().requires_grad_(True)
    out = layer(x)
    wanted = [x, *(layer.get_parameter(name) for name in PARTS)]
    return out.detach(), list(torch.autograd.grad(out.float().pow(3).sum(), wanted))


def test_answers_and_gradients_are_those_of_the_parametrisation(pair: tuple[nn.Module, nn.Module]) -> None:
    """In float32, to rounding."""
    x = torch.randn(11, 7)
    (ours, our_gradients), (plain, gradients) = answer(pair[0], x), answer(pair[1], x)
    assert torch.allclose(ours, plain, atol=1e-6)
    for mine, theirs in zip(our_gradients, gradients, strict=True):
        assert mine.shape == theirs.shape
        assert torch.allclose(mine, theirs, atol=1e-4, rtol=1e-4)


def test_bf16_products_keep_float32_gradients(pair: tuple[nn.Module, nn.Module]) -> None:
    """Under autocast the answer is bf16 and near; the weights' gradients are float32 and point the same way."""
    x = torch.randn(11, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low, low_gradients = answer(pair[0], x)
    full, gradients = answer(pair[1], x)
    assert low.dtype == torch.bfloat16
    assert torch.allclose(low.float(), full, atol=0.05, rtol=0.02)
    for mine, theirs in zip(low_gradients, gradients, strict=True):
        assert mine.dtype == torch.float32
        assert nn.functional.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.999


def test_frozen_parts_get_no_gradient_and_the_input_still_does(pair: tuple[nn.Module, nn.Module]) -> None:
    """As the generator's move needs it: gradients through the classifier, none for it."""
    x = torch.randn(3, 7, requires_grad=True)
    pair[0].requires_grad_(False)
    pair[0](x).sum().backward()
    assert x.grad is not None
    assert all(pair[0].get_parameter(name).grad is None for name in PARTS)


def test_the_start_from_data_and_the_export_see_an_ordinary_layer() -> None:
    """White after the start; the copy that is exported is a plain layer with the same answers."""
    torch.manual_seed(0)
    layer = normalise(ScaledLinear(7, 5)).train()
    x = torch.randn(200, 7) * 3 + 1
    start_from_data(WithLabel(layer), x)
    out = layer(x).detach()
    assert torch.allclose(out.mean(0), torch.zeros(5), atol=1e-4)
    assert torch.allclose(out.std(0, correction=0), torch.ones(5), atol=1e-3)
    assert torch.allclose(plain_copy(layer)(x), out, atol=1e-5)


class WithLabel(nn.Module):
    """Takes and ignores a label, as discriminators do."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The layer's answer."""
        out: Tensor = self.layer(x)
        return out
