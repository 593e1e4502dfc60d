"""Seeds and latents: frozen streams, cuts, combinations, walks."""

from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import LatentError
from models.manifest import Cut, Distribution, Latent
from models.mathematics.latents import (
    PlaneStream,
    check,
    combine,
    cut,
    draw,
    join,
    lerp,
    mean,
    normalise,
    seed_range,
    slerp,
    truncate,
)

NORMAL = Latent(
    distribution="standard_normal", size=20, cuts=(Cut(name="z", shape=(4,)), Cut(name="p", shape=(1, 4, 4)))
)
UNIFORM = Latent(distribution="uniform", size=20, cuts=(Cut(name="z", shape=(20,)),))
PRIORS = pytest.mark.parametrize("prior", [NORMAL, UNIFORM], ids=["normal", "uniform"])
vectors = arrays(np.float32, 20, elements=st.floats(-10, 10, width=32))
seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds)
def test_a_seed_is_what_numpy_says(seed: int) -> None:
    """Any client with NumPy computes the same latent."""
    state = np.random.RandomState(seed)
    assert np.array_equal(draw(NORMAL, [seed])[0], state.standard_normal(20).astype(np.float32))
    state = np.random.RandomState(seed)
    assert np.array_equal(draw(UNIFORM, [seed])[0], state.uniform(-1, 1, 20).astype(np.float32))


@given(many=st.lists(seeds, min_size=1, max_size=8))
def test_a_seed_does_not_know_its_neighbours(many: list[int]) -> None:
    """Drawing together is drawing one by one; an odd count leaves nothing behind for the next seed."""
    odd = Latent(distribution="standard_normal", size=3, cuts=(Cut(name="z", shape=(3,)),))
    for prior in (NORMAL, odd):
        assert np.array_equal(draw(prior, many), np.concatenate([draw(prior, [seed]) for seed in many]))


def test_threads_do_not_disturb_one_another() -> None:
    """Each draws its seeds' numbers, whatever the others draw at that moment."""
    wanted = [draw(NORMAL, [seed])[0] for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: draw(NORMAL, [seed])[0], range(40)))
    assert np.array_equal(found, wanted)


def test_published_vectors() -> None:
    """The first numbers of seeds 0 and 42, written down: the stream is frozen."""
    assert draw(NORMAL, [0])[0, :3].tolist() == pytest.approx([1.7640524, 0.4001572, 0.978738], abs=1e-6)
    assert draw(NORMAL, [42])[0, :3].tolist() == pytest.approx([0.49671414, -0.1382643, 0.64768857], abs=1e-6)
    assert draw(UNIFORM, [0])[0, :3].tolist() == pytest.approx([0.09762701, 0.43037873, 0.20552675], abs=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_outside_the_range(seed: int) -> None:
    """Refused, not wrapped; the first and the last are taken."""
    for begin in (lambda seed: draw(NORMAL, [seed]), lambda seed: PlaneStream("uniform", seed)):
        with pytest.raises(LatentError):
            begin(seed)
        assert begin(0) is not None
        assert begin(2**32 - 1) is not None


@PRIORS
def test_a_latent_is_float32_whatever_is_done_to_it(prior: Latent) -> None:
    """What is saved, hashed and sent is the same four bytes a number."""
    a, b = draw(prior, [1, 2])
    made = [check(prior, a.tolist()), combine([a, b], [1, 2]), mean([a, b]), truncate(a, 0.5), normalise(prior, a)]
    made += [lerp(a, b, 0.3), slerp(a, b, 0.3), slerp(a, a, 0.3), PlaneStream(prior.distribution, 1).plane(2, 3)]
    assert {array.dtype for array in made} == {np.dtype(np.float32)}
    assert np.array_equal(check(prior, a.tolist()), a)


def test_seed_ranges_wrap() -> None:
    """After the last seed comes the first."""
    assert seed_range(2**32 - 2, 4) == [2**32 - 2, 2**32 - 1, 0, 1]


@given(vector=vectors)
def test_cut_and_join_are_inverse(vector: np.ndarray) -> None:
    """The pieces of a latent are the latent."""
    pieces = cut(NORMAL, vector[None])
    assert [piece.shape for piece in pieces] == [(1, 4), (1, 1, 4, 4)]
    assert np.array_equal(join(pieces)[0], vector)


@given(a=vectors, b=vectors)
def test_ends_of_a_walk_are_its_stops(a: np.ndarray, b: np.ndarray) -> None:
    """t = 0 and t = 1 give the stops, on the line and on the arc."""
    for walk in (lerp, slerp):
        assert np.allclose(walk(a, b, 0.0), a, atol=1e-5)
        assert np.allclose(walk(a, b, 1.0), b, atol=1e-4)


def test_slerp_turns_and_grows_evenly() -> None:
    """A third of the way is a third of the angle and of the lengths' difference; the line would cut through the middle."""
    a, b = np.array([[1, 0], [0, 4]], np.float32)
    for t in np.linspace(0, 1, 9):
        length, angle = 1 + 3 * t, t * np.pi / 2
        assert np.allclose(slerp(a, b, t), [length * np.cos(angle), length * np.sin(angle)], atol=1e-6)


@pytest.mark.parametrize("other", [1, -1, 0, 2.5])
def test_where_there_is_no_arc_the_line_is_gone(other: float) -> None:
    """To itself, to the opposite, to the centre: the straight way, in even steps."""
    a = draw(NORMAL, [1])[0]
    for start, end in ((a, a * np.float32(other)), (a * np.float32(other), a)):
        assert np.array_equal(slerp(start, end, 0.25), lerp(start, end, 0.25))
        assert np.allclose(lerp(start, end, 0.25), start + (end - start) / 4, atol=1e-6)


@PRIORS
@given(vector=vectors)
def test_normalise_brings_back_to_the_prior(prior: Latent, vector: np.ndarray) -> None:
    """Onto the shell, cut by cut, or into the box; doing it twice changes nothing more."""
    back = normalise(prior, vector)
    if prior.distribution == "uniform":
        assert np.abs(back).max() <= 1
    else:
        for piece, source in zip(cut(prior, back[None]), cut(prior, vector[None]), strict=True):
            if np.linalg.norm(source) > 1e-3:
                assert np.linalg.norm(piece) == pytest.approx(np.sqrt(piece.size), rel=1e-4)
    assert np.allclose(normalise(prior, back), back, atol=1e-5)


def test_means_and_sums() -> None:
    """Means of exemplars, weighted sums, truncation."""
    a, b, c = draw(NORMAL, [1, 2, 3])
    assert np.allclose(mean([a, b, c]), (a + b + c) / 3, atol=1e-6)
    assert np.allclose(combine([a, b, c], [1, -1, 0.5]), a - b + 0.5 * c, atol=1e-6)
    assert np.array_equal(truncate(a, 1.0), a)
    assert np.array_equal(truncate(a, 0.5), a / 2)
    assert not truncate(a, 0.0).any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[1.0], [float("nan")] * 20, [float("inf")] * 20, [1e39] * 20])
def test_untrusted_values(values: list[float]) -> None:
    """Wrong length, NaN, infinity and what overflows float32 are refused."""
    with pytest.raises(LatentError):
        check(NORMAL, values)


def test_planes_of_a_stream_are_one_stream() -> None:
    """An any-size bundle's noise: the seed's numbers in order, however large the pieces they are drawn in."""
    for distribution in get_args(Distribution):
        state = np.random.RandomState(12)
        count = 700 * 801 + 3 * 5
        whole = state.standard_normal(count) if distribution == "standard_normal" else state.uniform(-1, 1, count)
        stream = PlaneStream(distribution, 12)
        first, second = stream.plane(700, 801), stream.plane(3, 5)
        assert np.array_equal(np.concatenate([first.ravel(), second.ravel()]), whole.astype(np.float32))
        skipped = PlaneStream(distribution, 12)
        skipped.skip(700, 801)
        assert np.array_equal(skipped.plane(3, 5), second)
