"""Walks and neighbourhoods: every stop is met, steps are even, nothing leaves the prior's home."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import LatentError
from models.manifest import Cut, Latent
from models.mathematics.latents import draw, lerp, normalise, slerp
from models.mathematics.walks import default_method, neighbours, positions, walk

NORMAL = Latent(
    distribution="standard_normal", size=64, cuts=(Cut(name="z", shape=(48,)), Cut(name="plane", shape=(1, 4, 4)))
)
UNIFORM = Latent(distribution="uniform", size=48, cuts=(Cut(name="z", shape=(48,)),))


@given(stops=st.integers(2, 6), extra=st.integers(0, 40), loop=st.booleans(), uniform=st.booleans())
def test_every_stop_is_a_frame(stops: int, extra: int, loop: bool, uniform: bool) -> None:
    """A walk has exactly the frames asked for and passes through its stops bit for bit, in order."""
    prior = UNIFORM if uniform else NORMAL
    points = draw(prior, list(range(stops)))
    frames = walk(prior, list(points), stops + extra, loop=loop)
    assert frames.shape == (stops + extra, prior.size)
    met = [next((k for k, frame in enumerate(frames) if np.array_equal(frame, point)), None) for point in points]
    assert met[0] == 0
    assert met == sorted(met, key=lambda k: -1 if k is None else k)
    assert None not in met
    assert loop or met[-1] == len(frames) - 1


@given(stops=st.integers(2, 5), frames=st.integers(5, 60), loop=st.booleans())
def test_steps_are_even(stops: int, frames: int, loop: bool) -> None:
    """No leg gets more than one frame more than another."""
    legs = [leg for leg, _ in positions(stops, frames, loop)]
    counts = [legs.count(leg) for leg in range(stops if loop else stops - 1)]
    assert max(counts) - min(counts) <= 1


def test_slerp_stays_on_the_shell_and_lerp_in_the_box() -> None:
    """The default method keeps lengths for a normal prior and bounds for a uniform one."""
    assert (default_method(NORMAL), default_method(UNIFORM)) == ("slerp", "lerp")
    ends = [normalise(NORMAL, v) for v in draw(NORMAL, [1, 2])]
    lengths = np.linalg.norm(walk(NORMAL, ends, 9)[:, :48], axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(48), rtol=1e-5)
    straight = walk(UNIFORM, list(draw(UNIFORM, [1, 2])), 3)
    np.testing.assert_array_equal(straight[1], lerp(straight[0], straight[2], 0.5))


def test_fixed_detail_keeps_the_planes() -> None:
    """With fixed detail the noise planes stay as at the first stop while the base walks."""
    a, b = draw(NORMAL, [1, 2])
    frames = walk(NORMAL, [a, b], 5, detail="fixed")
    assert (frames[:, 48:] == a[48:]).all()
    np.testing.assert_array_equal(frames[-1][:48], b[:48])


def test_too_few_frames_are_refused() -> None:
    """Fewer frames than stops cannot show every stop."""
    with pytest.raises(LatentError, match="at least 3"):
        walk(NORMAL, list(draw(NORMAL, [1, 2, 3])), 2)


def test_neighbours_stay_near_and_repeat() -> None:
    """Neighbours differ from the centre by at most the radius, and are the same for the same seed."""
    centre = draw(NORMAL, [1])[0]
    around = neighbours(NORMAL, centre, 0.25, 8, 5, on_prior=False)
    assert around.shape == (8, 64)
    assert 0.2 < (around - centre).max() <= 0.25 + 1e-6
    assert 0.2 < (centre - around).max() <= 0.25 + 1e-6
    np.testing.assert_array_equal(around, neighbours(NORMAL, centre, 0.25, 8, 5, on_prior=False))
    boxed = neighbours(UNIFORM, np.ones(48, np.float32), 0.25, 8, 5, on_prior=True)
    assert boxed.max() == 1.0
    shell = neighbours(NORMAL, centre, 0.25, 8, 5, on_prior=True)
    np.testing.assert_array_equal(shell, [normalise(NORMAL, row) for row in around])
    for on_prior in (True, False):
        assert neighbours(NORMAL, centre, 0.25, 0, 5, on_prior=on_prior).shape == (0, 64)


@pytest.mark.parametrize("loop", [True, False])
def test_one_stop_is_a_still(loop: bool) -> None:
    """Nowhere to go: every frame is the stop."""
    stop = draw(NORMAL, [1])[0]
    np.testing.assert_allclose(walk(NORMAL, [stop], 3, loop=loop), [stop] * 3, rtol=1e-6)


@given(frames=st.integers(3, 30), loop=st.booleans())
def test_frames_are_even_shares_of_the_way(frames: int, loop: bool) -> None:
    """Between two stops each frame is as far from the one before; a loop turns back half way."""
    way = [leg + share for leg, share in positions(2, 2 * frames, loop)]
    steps = np.diff(way)
    assert steps.min() > 0
    assert steps.max() - steps.min() < 1e-9
    assert way[0] == 0
    assert way[-1] == pytest.approx(2 - steps[0] if loop else 1)


def test_each_cut_walks_its_own_way() -> None:
    """The line when asked for; the arc of every cut by itself, not of the whole vector."""
    a, b = draw(NORMAL, [1, 2])
    np.testing.assert_array_equal(walk(NORMAL, [a, b], 3, method="lerp")[1], lerp(a, b, 0.5))
    arcs = np.concatenate([slerp(a[:48], b[:48], 0.5), slerp(a[48:], b[48:], 0.5)])
    np.testing.assert_array_equal(walk(NORMAL, [a, b], 3)[1], arcs)
    np.testing.assert_array_equal(walk(UNIFORM, [a[:48], b[:48]], 3, method="slerp")[1], slerp(a[:48], b[:48], 0.5))
