"""A batch shared among threads: the pictures of one thread, whatever their number, and errors that reach the caller."""

import threading

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from models.runtimes import open_runtime
from models.runtimes.base import Array
from models.runtimes.data_parallel import DataParallelRuntime
from models.runtimes.fake import FakeRuntime
from models.runtimes.invariance import FREE, bucket_for, probe_inputs
from tests.conftest import ROOT

EXPORTS = ROOT / "models" / "exports"


class Failing(FakeRuntime):
    """A part that breaks."""

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        raise ValueError("a broken graph")


def rows(bundle: Bundle, level: int, count: int) -> tuple[Array | None, ...]:
    return tuple(None if x is None else x[:count] for x in probe_inputs(bundle.manifest, level, 17))


@pytest.mark.parametrize("name", ["faces64", "cifar32-lapgan", "mnist-cgan"])
@pytest.mark.parametrize("threads", [2, 3])
def test_the_pictures_are_those_of_one_thread(name: str, threads: int) -> None:
    """Bit for bit, for every number of pictures but one alone, more threads than pictures included."""
    bundle = read_bundle(EXPORTS / name)
    many, one = open_runtime(bundle, threads=threads), open_runtime(bundle)
    assert isinstance(many, DataParallelRuntime)
    assert many.provider == one.provider
    for level in range(len(bundle.manifest.levels)):
        for count in (2, 3, 5, 17):
            inputs = rows(bundle, level, count)
            assert np.array_equal(many.run_level(level, *inputs), one.run_level(level, *inputs)), (level, count)
    many.close()


def test_a_picture_alone_is_the_one_in_a_batch() -> None:
    """Alone all threads work at it, in a batch one: the proof at load sees both, and pads where they differ."""
    bundle = read_bundle(EXPORTS / "fashion32")
    runtime = open_runtime(bundle, threads=2)
    assert bucket_for(runtime, bundle.manifest, 0, 16) == FREE
    alone, batch = (runtime.run_level(0, *rows(bundle, 0, count)) for count in (1, 16))
    assert np.array_equal(alone, batch[:1])


@pytest.mark.parametrize("broken", [0, 1])
def test_a_part_that_fails_fails_the_batch(tiny: Bundle, broken: int) -> None:
    """Whichever it is; what comes next is computed."""
    parts = [Failing(tiny) if k == broken else FakeRuntime(tiny) for k in range(2)]
    runtime = DataParallelRuntime(FakeRuntime(tiny), parts)
    with pytest.raises(ValueError, match="a broken graph"):
        runtime.run_level(0, *rows(tiny, 0, 4))
    assert len(runtime.run_level(0, *rows(tiny, 0, 1))) == 1


def test_closed_it_leaves_no_thread(tiny: Bundle) -> None:
    """A bundle that is replaced many times does not collect them."""
    before = threading.enumerate()  # other tests' threads may end meanwhile
    runtime = open_runtime(tiny, threads=4)
    runtime.run_level(0, *rows(tiny, 0, 8))
    parts = [thread for thread in threading.enumerate() if thread not in before]
    assert parts
    runtime.close()
    assert not any(thread.is_alive() for thread in parts)
