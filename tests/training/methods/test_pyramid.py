"""The pyramid in torch is the pyramid in NumPy, and nothing is lost in it."""

import numpy as np
import pytest
import torch

from models.mathematics import pyramid as reference
from training.methods.pyramid import DoubleHalfPixel, Operator, Pyramid, enlarger, reducer

CHAINS = [(8, 14, 28), (8, 16, 32, 64, 96), (16, 32)]


def pictures(side: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(side)) * 2 - 1


@pytest.mark.parametrize("sizes", CHAINS)
def test_a_batch_taken_apart_comes_together_exactly(sizes: tuple[int, ...]) -> None:
    """Training sees residuals that add up to the real picture."""
    pyramid = Pyramid(sizes, 3)
    batch = pictures(sizes[-1])
    assert (pyramid.collapse(pyramid.build(batch)) - batch).abs().max() < 1e-5


@pytest.mark.parametrize("sizes", CHAINS)
def test_torch_and_numpy_agree(sizes: tuple[int, ...]) -> None:
    """The service's pyramid and the training's give the same numbers."""
    batch = pictures(sizes[-1])
    ours = Pyramid(sizes, 3).build(batch)
    theirs = reference.build(batch.numpy(), list(sizes))
    for mine, other in zip(ours, theirs, strict=True):
        assert np.allclose(mine.numpy(), other, atol=1e-6)


def test_half_pixel_reconstructs_and_agrees_with_numpy() -> None:
    """The operator of any-size bundles is as exact, for pictures that are not square too."""
    batch = torch.rand(2, 3, 10, 13)
    assert np.allclose(DoubleHalfPixel(3)(batch).numpy(), reference.double(batch.numpy()), atol=1e-6)
    pyramid = Pyramid((16, 32, 64), 3, "half-pixel")
    whole = pictures(64)
    *_, coarse, fine = pyramid.pictures(whole)
    assert np.allclose(pyramid.build(whole)[-1], fine.numpy() - reference.double(coarse.numpy()), atol=1e-6)
    assert (pyramid.collapse(pyramid.build(whole)) - whole).abs().max() < 1e-5


def test_operators_survive_export_to_onnx(tmp_path: pytest.TempPathFactory) -> None:
    """What the exported graph computes is what training computed, odd steps included."""
    onnxruntime = pytest.importorskip("onnxruntime")
    for name, module, side in (
        ("up", enlarger("corner-aligned", 8, 14, 3), 8),
        ("down", reducer(28, 14), 28),
        ("double", DoubleHalfPixel(3), 9),
    ):
        batch = pictures(side)
        file = f"{tmp_path}/{name}.onnx"
        torch.onnx.export(module.eval(), (batch,), file, dynamo=True, external_data=False, verbose=False)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        answer = session.run(None, {session.get_inputs()[0].name: batch.numpy()})[0]
        assert np.allclose(answer, module(batch).numpy(), atol=1e-5)


@pytest.mark.parametrize("operator", ["corner-aligned", "half-pixel"])
def test_nothing_of_the_pyramid_is_in_a_checkpoint(operator: Operator) -> None:
    """It is made of the sizes alone; weights are what was learnt."""
    assert not Pyramid((8, 16, 32), 3, operator).state_dict()


def test_half_pixel_only_doubles() -> None:
    """Other steps are refused in a sentence."""
    with pytest.raises(ValueError, match="doubles"):
        enlarger("half-pixel", 8, 14, 3)
