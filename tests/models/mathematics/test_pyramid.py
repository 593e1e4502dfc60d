"""The Laplacian pyramid: what is taken apart comes together again, at every size a recipe uses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mathematics import pyramid

CHAINS = [[8, 14, 28], [8, 16, 32, 64, 96], [4, 8, 16, 32, 64], [16, 32], [8, 16, 32]]


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("sizes", CHAINS)
def test_a_picture_taken_apart_comes_together_exactly(sizes: list[int]) -> None:
    """Nothing of a picture is lost in the pyramid, whatever the steps of its sizes."""
    picture = pictures(3, 3, sizes[-1], sizes[-1])
    assert np.abs(pyramid.collapse(pyramid.build(picture, sizes)) - picture).max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(4, 100), min_size=2, max_size=5, unique=True).map(sorted), st.integers(0, 2**32 - 1))
def test_any_rising_sizes_reconstruct(sizes: list[int], seed: int) -> None:
    """Odd steps, as in 8 -> 14 and 64 -> 96, are as exact as doublings."""
    picture = pictures(1, 1, sizes[-1], sizes[-1], seed=seed)
    assert np.abs(pyramid.collapse(pyramid.build(picture, sizes)) - picture).max() < 1e-5


@given(st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_a_flat_picture_stays_flat(source: int, target: int) -> None:
    """Neither shrinking nor growing changes a colour."""
    small, large = sorted((source, target))
    flat = np.full((1, large, large), 0.37, np.float32)
    assert np.allclose(pyramid.reduce(flat, small, small), 0.37, atol=1e-6)
    assert np.allclose(pyramid.enlarge(flat[:, :small, :small], large, large), 0.37, atol=1e-6)


def test_reducing_averages_over_the_area_each_pixel_covers() -> None:
    """Three pixels made of four: the inner ones are shared by thirds."""
    assert np.allclose(pyramid.reduce_matrix(4, 3)[0], [0.75, 0.25, 0, 0])
    assert np.allclose(pyramid.reduce_matrix(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])


def test_enlarging_keeps_the_corners() -> None:
    """Corner pixels lie on corner pixels."""
    small = pictures(3, 5, 7)
    large = pyramid.enlarge(small, 12, 20)
    assert np.allclose(large[:, [0, 0, -1, -1], [0, -1, 0, -1]], small[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-6)


def test_doubling_is_the_same_at_every_place() -> None:
    """A cut-out with a margin of one pixel doubles to the same pixels as the whole: no seam between tiles."""
    whole = pictures(3, 20, 24)
    part = pyramid.double(whole[:, 4:15, 7:18])
    assert np.array_equal(part[:, 2:-2, 2:-2], pyramid.double(whole)[:, 10:28, 16:34])


def test_doubling_agrees_with_the_usual_bilinear_resize() -> None:
    """Half-pixel centres: what torch and Pillow call bilinear."""
    torch = pytest.importorskip("torch")
    small = pictures(2, 3, 9, 11)
    usual = torch.nn.functional.interpolate(torch.from_numpy(small), scale_factor=2, mode="bilinear")
    assert np.allclose(pyramid.double(small), usual.numpy(), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 3, 4]), st.floats(0.1, 4.0), st.integers(0, 999))
def test_a_faithful_picture_reduces_to_its_coarse_one(h: int, w: int, factor: int, contrast: float, seed: int) -> None:
    """However wild the detail, shrinking the result gives the input back, and no value leaves the range."""
    coarse = pictures(3, h, w, seed=seed)
    wild = pictures(3, h * factor, w * factor, seed=seed + 1) * np.float32(contrast)
    result = pyramid.faithful(wild, coarse)
    assert np.abs(pyramid.reduce(result, h, w) - coarse).max() < 1e-4
    assert np.abs(result).max() <= 1 + 1e-5


@pytest.mark.parametrize(
    ("small", "large"), [((8, 8), (14, 14)), ((14, 7), (28, 10)), ((5, 9), (7, 18)), ((64, 64), (96, 96))]
)
def test_faithful_at_odd_steps_stays_within_one_grey_level(small: tuple[int, int], large: tuple[int, int]) -> None:
    """Also where the areas overlap, on one axis or on both, the reduction is the input within 1/255, within the range."""
    coarse = pyramid.reduce(pictures(3, *large), *small)
    result = pyramid.faithful(pictures(3, *large, seed=5), coarse)
    assert np.abs(pyramid.reduce(result, *small) - coarse).max() < 2 / 255
    assert np.abs(result).max() <= 1
    assert result.dtype == np.float32


def test_a_pictures_detail_is_kept_as_far_as_it_can_be() -> None:
    """Of all pictures that reduce to the coarse one the nearest in least squares: the error is the same all over a block."""
    wild, coarse = pictures(1, 8, 12) * np.float32(0.3), pictures(1, 4, 3, seed=3) * np.float32(0.3)
    moved = pyramid.faithful(wild, coarse) - wild
    assert np.allclose(moved, moved[:, ::2, ::4].repeat(2, 1).repeat(4, 2), atol=1e-6)


def test_operators_are_shared_and_cannot_be_changed() -> None:
    """One matrix serves every request: who writes into it would change everybody's pictures."""
    for matrix in (pyramid.reduce_matrix(8, 4), pyramid.enlarge_matrix(4, 8)):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 5
        assert matrix.dtype == np.float32


def test_a_faithful_picture_is_left_alone() -> None:
    """What already reduces to its coarse picture is not touched."""
    picture = pictures(3, 16, 16)
    assert np.allclose(pyramid.faithful(picture, pyramid.reduce(picture, 8, 8)), picture, atol=1e-5)
