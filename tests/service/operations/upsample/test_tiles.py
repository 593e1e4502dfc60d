"""Tiles cover a picture once, keep their distance, and have one shape."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.operations.tiles import tiles


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 12), st.integers(1, 40))
def test_cores_cover_once_windows_keep_the_halo(height: int, width: int, halo: int, core: int) -> None:
    """No pixel is left out or done twice, and every core lies a halo inside its window or at the picture's edge."""
    covered = np.zeros((height, width), int)
    shapes = set()
    made = list(tiles(height, width, halo, core))
    for tile in made:
        covered[tile.core()] += 1
        shapes.add(np.empty((height, width))[tile.window()].shape)
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert span.window_start == 0 or span.core_start - span.window_start >= halo
            assert span.window_stop == length or span.window_stop - span.core_stop >= halo
            assert 0 <= span.window_start <= span.core_start < span.core_stop <= span.window_stop <= length
    assert (covered == 1).all()
    assert len(shapes) == 1
    assert len(made) == -(-height // core) * -(-width // core)


def test_slices_of_an_enlarged_picture_match() -> None:
    """Cutting before enlarging by repetition, or after, is the same."""
    small = np.arange(70 * 50).reshape(70, 50)
    large = small.repeat(2, 0).repeat(2, 1)
    for tile in tiles(70, 50, 3, 16):
        window = small[tile.window()].repeat(2, 0).repeat(2, 1)
        assert np.array_equal(window, large[tile.window(2)])
        assert np.array_equal(window[tile.core_in_window(2)], large[tile.core(2)])
