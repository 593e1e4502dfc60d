"""Maps of the stages of EfficientNet-lite0 and -lite1: one a halving, the last block's."""

import copy

import pytest
import torch

from training.pretrained.efficientnet import efficientnet_lite
from training.pretrained.stages import StageMaps


@pytest.mark.parametrize("number", [0, 1])
def test_stages_halve_the_picture(number: int) -> None:
    """Strides 2 to 16 with the published widths; what is taken is of the latest picture and not kept."""
    network = copy.deepcopy(efficientnet_lite(number).network)
    maps = StageMaps(network)
    assert [(stage.stride, stage.channels) for stage in maps.stages] == [(2, 16), (4, 24), (8, 40), (16, 112)]
    network.extract_features(torch.zeros(2, 3, 96, 96))
    assert [tuple(found.shape) for found in maps.take()] == [
        (2, 16, 48, 48),
        (2, 24, 24, 24),
        (2, 40, 12, 12),
        (2, 112, 6, 6),
    ]
    with pytest.raises(KeyError):
        maps.take()
