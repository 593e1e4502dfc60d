"""How many pictures at once: decided from costs that are given, and measured without hurry on a real graph."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from models.bundle import read_bundle
from models.runtimes import open_runtime
from models.runtimes.batch_size import BESIDE_S, LONGEST_S, TOLERANCE, best_batch, chosen, measured, sizes_up_to


@given(st.dictionaries(st.sampled_from([4, 8, 16, 32, 64]), st.floats(1e-5, 1.0), min_size=1))
def test_no_smaller_batch_would_do_and_no_other_is_much_cheaper(seconds: dict[int, float]) -> None:
    """The smallest within the tolerance of the best price a picture."""
    price = {size: (took + BESIDE_S) / size for size, took in seconds.items()}
    size = chosen(seconds)
    assert price[size] <= TOLERANCE * min(price.values())
    assert all(price[other] > TOLERANCE * min(price.values()) for other in seconds if other < size)


def test_a_picture_of_equal_price_comes_in_small_batches_and_a_cheap_one_in_large() -> None:
    """A 128x128 face costs the same by eight as by sixteen; a call of a small graph costs more than its pictures."""
    assert chosen({4: 0.0132, 8: 0.0256, 16: 0.0512}) == 8
    assert chosen({4: 0.0001, 8: 0.0002, 16: 0.0003}) == 16


@given(st.integers(1, 1024))
def test_the_largest_is_always_looked_at(largest: int) -> None:
    """Sizes rise up to the setting, whatever it is."""
    sizes = sizes_up_to(largest)
    assert sizes == tuple(sorted(set(sizes)))
    assert sizes[-1] == largest


def test_nothing_that_takes_long_is_measured() -> None:
    """A graph of half a second a picture is started only as often as needed to know that."""
    now, ran = 0.0, []

    def run(size: int) -> None:
        nonlocal now
        ran.append(size)
        now += 0.5 * size

    assert list(measured(run, (4, 8, 16), lambda: now)) == [4]
    assert set(ran) == {4}
    assert LONGEST_S < 0.5 * 4


def test_a_real_graph_has_one(bundle_folder: Path) -> None:
    """One of the sizes, and never more than what was allowed."""
    bundle = read_bundle(bundle_folder / "tiny")
    for largest in (1, 3, 16):
        assert best_batch(open_runtime(bundle), bundle.manifest, 0, 1, largest) in sizes_up_to(largest)
