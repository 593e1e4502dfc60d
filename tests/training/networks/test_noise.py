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
