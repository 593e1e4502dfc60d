"""Gaussian noise as a layer: there in training, gone when served."""

import torch

from training.networks.noise import GaussianNoise


def test_noise_has_the_deviation_asked_for_and_is_absent_when_served() -> None:
    """What is added in training is N(0, sigma); evaluation gives the input itself."""
    torch.manual_seed(0)
    layer, x = GaussianNoise(0.3), torch.full((200, 200), 2.0)
    added = layer.train()(x) - x
    assert abs(float(added.mean())) < 0.01
    assert abs(float(added.std()) - 0.3) < 0.01
    assert torch.equal(layer.eval()(x), x)


def test_every_call_begins_elsewhere_and_a_seed_repeats_it() -> None:
    """Two layers, or two steps, do not share their noise; the same global seed gives the same noise."""
    layer, x = GaussianNoise(1.0).train(), torch.zeros(100, 50)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 0.1
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_rows_of_one_batch_are_independent() -> None:
    """The run of numbers a layer takes is standard normal and uncorrelated from row to row."""
    torch.manual_seed(2)
    added = GaussianNoise(1.0).train()(torch.zeros(300, 1000))
    between = torch.corrcoef(added)[~torch.eye(300, dtype=torch.bool)]
    assert abs(float(between.mean())) < 0.001
    assert float(between.abs().max()) < 0.2
