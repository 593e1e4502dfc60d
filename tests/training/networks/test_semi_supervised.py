"""The start of the semi-supervised MNIST networks: a generator that begins inside the sigmoid's slope and stays there."""

import pytest
import torch
from torch import Tensor, nn

from training.algorithms.base import adam
from training.networks.layers import Projection, upsampling
from training.networks.semi_supervised import (
    CentredSoftplus,
    MlpClassifier,
    SoftplusGenerator,
    StridedGenerator,
    normalise_classifier,
    start_classifier,
    start_generator,
)
from training.recipes.tables import OptimizerTable, SemiSupervisedTable, TechniqueTable

TABLE = SemiSupervisedTable(generator=(64, 64), discriminator=(64, 32))


@pytest.fixture
def digits() -> Tensor:
    """64 dark pictures with a bright bar in one of four places; the border is always black."""
    pictures = torch.full((64, 1, 12, 12), -1.0)
    for index in range(64):
        pictures[index, 0, 2:10, 2 + 2 * (index % 4)] = 1.0
    return pictures


def made(seed: int) -> SoftplusGenerator:
    source = torch.Generator().manual_seed(seed)
    network = SoftplusGenerator(TABLE, 12, 1, 20)
    start_generator(network, source)
    return network


def test_the_first_samples_have_the_mean_of_the_data(digits: Tensor) -> None:
    """The mean sample looks like the mean picture, samples differ, and few pixels are so black that their slope is gone."""
    network = made(0)
    network.start_from_data(digits)
    samples = network.train()(torch.rand(256, 20) * 2 - 1).detach()
    pair = torch.stack([samples.mean(0).flatten(), digits.mean(0).flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.9
    assert samples.std(0).mean() > 0.15
    assert (samples.abs() > 0.9995).float().mean() < 0.05


def test_one_step_does_not_drag_all_samples_along() -> None:
    """A step of the paper's rate of 3e-3 moves the mean of all samples a little; with plain softplus, several times more.

    That drag is what turned every sample into one picture within ten steps.
    """

    def dragged(softplus: nn.Module) -> float:
        table = SemiSupervisedTable(generator=(500, 500))
        generator = SoftplusGenerator(table, 12, 1, 20)
        start_generator(generator, torch.Generator().manual_seed(0))
        generator.hidden[2] = generator.hidden[5] = softplus
        optimizer = adam(OptimizerTable(lr=3e-3), list(generator.output.parameters()))
        hidden = generator.hidden(torch.randn(256, 20, generator=torch.Generator().manual_seed(1))).detach()
        before = generator.output(hidden).detach()
        generator.output(hidden).sum().backward()
        optimizer.step()
        return float((generator.output(hidden) - before).mean().abs().detach())

    assert 4 * dragged(CentredSoftplus()) < dragged(nn.Softplus())


def test_long_weights_turn_slowly() -> None:
    """With weight norm the start's deviation sets the pace: the same step of Adam turns ten times longer weights less."""

    def turned(deviation: float) -> float:
        network = MlpClassifier(TABLE, TechniqueTable(), 12, 1, 4)
        start_classifier(network, deviation, torch.Generator().manual_seed(0))
        normalise_classifier(network)
        before = network.head.weight.detach().clone()
        optimizer = adam(OptimizerTable(lr=3e-3), [p for p in network.parameters() if p.requires_grad])
        network(torch.ones(8, 1, 12, 12)).classes[:, 0].sum().backward()
        optimizer.step()
        return float(1 - nn.functional.cosine_similarity(before[0], network.head.weight[0].detach(), dim=0))

    assert turned(0.1) < 0.2 * turned(0.01)


def test_the_first_cifar_samples_are_faint_and_their_layers_are_as_released() -> None:
    """Before the tanh mean 0 and deviation 0.1; only the output has a learnt gain, one for each colour."""
    network = StridedGenerator(SemiSupervisedTable(generator=(8, 8, 8)), 32, 3, 20)
    start_generator(network, torch.Generator().manual_seed(0))
    noise = torch.rand(64, 20, generator=torch.Generator().manual_seed(1)) * 2 - 1
    network.start_from_noise(noise)
    drawn = network(noise).detach().atanh()
    assert torch.allclose(drawn.mean((0, 2, 3)), torch.zeros(3), atol=1e-3)
    assert torch.allclose(drawn.std((0, 2, 3)), torch.full((3,), 0.1), atol=1e-3)
    gains = [norm.weight for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)]
    assert not any(gain.requires_grad for gain in gains)
    learnt = network.get_parameter("output.0.parametrizations.weight.original0")
    assert learnt.requires_grad
    assert learnt.numel() == 3


def test_the_fused_optimiser_moves_channels_last_weights_as_the_plain_one_does() -> None:
    """Memory layout does not shuffle the moments: same weights as Adam step by step."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), upsampling(4, 3, "deconv", 4, bias=True), Projection(48, 2))
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), upsampling(4, 3, "deconv", 4, bias=True), Projection(48, 2))
    twin.load_state_dict(layers.state_dict())
    layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    table = OptimizerTable(lr=1e-2)
    ours = adam(table, list(layers.parameters()))
    plain = torch.optim.Adam(twin.parameters(), 1e-2, betas=(table.beta1, table.beta2), foreach=False)
    for _ in range(3):
        pictures = torch.randn(2, 3, 6, 6)
        for network, optimizer in ((layers, ours), (twin, plain)):
            optimizer.zero_grad()
            network[:2](pictures).pow(3).sum().backward()
            optimizer.step()
    for mine, theirs in zip(layers.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
