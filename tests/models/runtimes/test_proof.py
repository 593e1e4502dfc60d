"""The proof of a bundle: made once a machine, read afterwards, made again when anything it rests on changes."""

from pathlib import Path

import pytest

from models.bundle import Bundle, read_bundle
from models.runtimes import open_runtime
from models.runtimes.base import Array, Runtime
from models.runtimes.invariance import FREE
from models.runtimes.memory import Memory
from models.runtimes.proof import proof_of


class Counting:
    """The real runtime, counting its calls."""

    def __init__(self, inner: Runtime, provider: str = "") -> None:
        self._inner, self.provider, self.calls = inner, provider or inner.provider, 0

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        self.calls += 1
        return self._inner.run_level(level, previous, noise, label)


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    return read_bundle(bundle_folder / "tiny-lapgan")


def calls(bundle: Bundle, memory: Memory | None, threads: int = 1, provider: str = "", again: bool = False) -> int:
    runtime = Counting(open_runtime(bundle), provider)
    proof = proof_of(runtime, bundle, threads, 16, memory, again)  # type: ignore[arg-type]
    assert len(proof.buckets) == len(proof.batches) == len(bundle.manifest.levels)
    assert all(bucket in {FREE, 1, 16} for bucket in proof.buckets)
    assert all(1 <= batch <= 16 for batch in proof.batches)
    return runtime.calls


def test_the_second_start_reads_what_the_first_found(bundle: Bundle, tmp_path: Path) -> None:
    """Nothing runs; another provider, other threads, or `again`, and everything does."""
    memory = Memory(tmp_path / "runtimes.json")
    assert calls(bundle, memory) > 0
    assert calls(bundle, memory) == 0
    assert calls(bundle, memory, provider="Other") > 0
    assert calls(bundle, memory, threads=2) > 0
    assert calls(bundle, memory, again=True) > 0


def test_without_a_place_to_remember_every_start_proves(bundle: Bundle, tmp_path: Path) -> None:
    """No file, and a folder that cannot be."""
    (tmp_path / "file").write_text("")
    for memory in (None, Memory(tmp_path / "file" / "runtimes.json")):
        assert calls(bundle, memory) > 0
        assert calls(bundle, memory) > 0


def test_an_entry_that_is_no_proof_of_this_bundle_is_none(bundle: Bundle, tmp_path: Path) -> None:
    """Too few levels, or nonsense: proved afresh."""
    memory = Memory(tmp_path / "runtimes.json")
    assert calls(bundle, memory) > 0
    (key,) = memory._read()
    for wrong in ({"buckets": [0], "batches": [16]}, {"buckets": 3}, {}):
        memory.put(key, wrong)
        assert calls(bundle, memory) > 0
