"""`auto`: real candidates beside the real reference, on bundles with random weights and on one that ships."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle, read_bundle
from models.errors import RuntimeUnavailableError
from models.mathematics.latents import cut, draw
from models.runtimes import auto, open_runtime
from models.runtimes.auto import choose, open_auto
from models.runtimes.base import Array, DiscriminatorOutput, Runtime, to_pixels
from models.runtimes.candidates import CANDIDATES, Candidate
from models.runtimes.choice import Choice
from models.runtimes.invariance import FREE, bucket_for, probe_inputs
from models.runtimes.memory import Memory
from models.runtimes.onnx_runtime import OnnxRuntime
from models.runtimes.trial import SAME, chain_difference
from tests.conftest import ROOT

PHOTO = ROOT / "models" / "exports" / "photo-x2"


class Shifted:
    """The reference's pictures, a little brighter, and brighter still by `each` for every picture in the batch."""

    provider = "Shifted"

    def __init__(self, bundle: Bundle, threads: int, shift: float, each: float) -> None:
        self._inner = OnnxRuntime(bundle, "cpu", threads)
        self._shift, self._each = np.float32(shift), np.float32(each)

    def run_level(self, level: int, previous: Array | None, noise: Array | None, label: Array | None) -> Array:
        made = self._inner.run_level(level, previous, noise, label)
        return made + self._shift + self._each * np.float32(len(made))

    def discriminate(self, images: Array, label: Array | None = None) -> DiscriminatorOutput:
        return self._inner.discriminate(images, label)

    def close(self) -> None:
        self._inner.close()


def shifted(shift: float = 0.0, each: float = 0.0) -> Candidate:
    return Candidate("shifted", lambda bundle, threads: Shifted(bundle, threads, shift, each))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "runtimes.json")


@pytest.fixture(autouse=True)
def every_candidate_may_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured in bench/, not here: whoever draws the right pictures wins, and no machine is too slow."""
    monkeypatch.setattr("models.runtimes.trial.GAIN", 1000.0)
    monkeypatch.setattr("models.runtimes.trial.NOT_SLOWER", 1000.0)
    monkeypatch.setattr(auto, "BUDGET_S", 1000.0)


def chain(runtime: Runtime, bundle: Bundle, seeds: list[int]) -> Array:
    picture: Array | None = None
    for level, noise in enumerate(cut(bundle.manifest.latent, draw(bundle.manifest.latent, seeds))):
        picture = runtime.run_level(level, picture, np.ascontiguousarray(noise), None)
    assert picture is not None
    return picture


@pytest.mark.parametrize("name", ["tiny", "tiny-lapgan"])
def test_the_winner_draws_the_reference_and_nobody_notices_company(
    bundle_folder: Path, memory: Memory, name: str
) -> None:
    """Within 1/255 of ONNX Runtime, and one seed alone as in a batch, with whatever candidates this machine has."""
    bundle = read_bundle(bundle_folder / name)
    runtime = open_auto(bundle, 1, 16, memory, (shifted(0.001), *CANDIDATES))
    reference = open_runtime(bundle)
    assert runtime.provider != reference.provider
    together = chain(runtime, bundle, list(range(40)))
    assert np.abs(to_pixels(together).astype(int) - to_pixels(chain(reference, bundle, list(range(40))))).max() <= 1
    assert np.array_equal(chain(runtime, bundle, [7])[0], together[7])
    assert {bucket_for(runtime, bundle.manifest, k, 16) for k in range(len(bundle.manifest.levels))} == {FREE}
    runtime.close()


def test_a_second_opening_does_not_measure(tiny: Bundle, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads; `again` measures in any case."""
    first = open_auto(tiny, 1, 16, memory, (shifted(),))
    measured = Counter(auto.measure)
    monkeypatch.setattr(auto, "measure", measured)
    assert open_auto(tiny, 1, 16, memory, (shifted(),)).provider == first.provider == "Shifted"
    assert measured.calls == 0
    choose(tiny, 1, 16, memory, (shifted(),), again=True)
    assert measured.calls == 1


class Counter:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Choice]) -> None:
        self._function, self.calls = function, 0

    def __call__(self, *given: object) -> Choice:
        self.calls += 1
        return self._function(*given)


def absent(bundle: Bundle, threads: int) -> Runtime:
    raise RuntimeUnavailableError("OpenVINO is not installed")


def broken(bundle: Bundle, threads: int) -> Runtime:
    raise ZeroDivisionError


@pytest.mark.parametrize("bad", [absent, broken])
def test_a_candidate_that_fails_is_left_out(
    tiny: Bundle, memory: Memory, bad: Callable[[Bundle, int], Runtime]
) -> None:
    """A machine without OpenVINO, or with a broken one, serves by the reference; others are tried all the same."""
    alone = choose(tiny, 1, 16, memory, (Candidate("bad", bad),))
    assert alone.levels == ("onnx",)
    assert alone.rows[0].verdict.startswith("failed")
    beside = choose(tiny, 1, 16, memory, (Candidate("bad", bad), shifted()), again=True)
    assert beside.levels == ("shifted",)
    assert open_auto(tiny, 1, 16, memory, (Candidate("shifted", bad),)).provider == "CPUExecutionProvider"


@pytest.mark.parametrize(("shift", "wins"), [(0.7 * SAME.level / 127.5, True), (1.1 * SAME.level / 127.5, False)])
def test_another_picture_never_wins(tiny: Bundle, memory: Memory, shift: float, wins: bool) -> None:
    """Less than the limit in steps of 255 is the same picture, more is not."""
    choice = choose(tiny, 1, 16, memory, (shifted(shift),))
    assert choice.levels == (("shifted",) if wins else ("onnx",))
    assert choice.rows[0].verdict == ("faster" if wins else "another picture")


def test_differences_of_several_levels_are_looked_at_together(bundle_folder: Path, memory: Memory) -> None:
    """Each level within its limit, both together not: one gives way."""
    bundle = read_bundle(bundle_folder / "tiny-lapgan")
    candidate = shifted(0.9 * SAME.level / 127.5)
    choice = choose(bundle, 1, 16, memory, (candidate,))
    assert sorted(choice.levels) == ["onnx", "shifted"]
    runtime = open_auto(bundle, 1, 16, memory, (candidate,))
    assert chain_difference(runtime, open_runtime(bundle), bundle.manifest) < SAME.whole
    assert "+" in runtime.provider


def test_a_level_that_depends_on_company_never_wins(tiny: Bundle, memory: Memory) -> None:
    """Byte-equality outranks speed."""

    choice = choose(tiny, 1, 16, memory, (shifted(each=1e-6),))
    assert (choice.levels, choice.rows[0].verdict) == (("onnx",), "depends on company")


def test_a_candidate_that_takes_the_process_with_it_is_not_tried_again(
    tiny: Bundle, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference is remembered before the first trial."""

    def killed(*given: object) -> Choice:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(auto, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            choose(tiny, 1, 16, memory, (shifted(),))
    assert choose(tiny, 1, 16, memory, (shifted(),)).levels == ("onnx",)


def test_where_nothing_can_be_written_the_reference_serves(tiny: Bundle, tmp_path: Path) -> None:
    """Siblings could not agree without the file."""
    (tmp_path / "file").write_text("")
    runtime = open_auto(tiny, 1, 16, Memory(tmp_path / "file" / "runtimes.json"), (shifted(),))
    assert runtime.provider == "CPUExecutionProvider"


def test_without_time_nothing_is_tried(tiny: Bundle, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget ends the trials, and says so."""
    monkeypatch.setattr(auto, "BUDGET_S", -1.0)
    choice = choose(tiny, 1, 16, memory, (shifted(),))
    assert (choice.levels, choice.rows[0].verdict) == (("onnx",), "no time left")


def test_the_shipped_doubler_on_openvino(memory: Memory) -> None:
    """A bundle of any size: float32 and, where the processor has it, bfloat16 stay within 1/255 over three doublings."""
    pytest.importorskip("openvino")
    bundle = read_bundle(PHOTO)
    choice = choose(bundle, 1, 4, memory, CANDIDATES)
    by_name = {row.candidate: row for row in choice.rows}
    assert choice.levels[0].startswith("openvino")
    assert (by_name["openvino-f32"].difference or 0) < 0.01
    runtime, reference = open_auto(bundle, 1, 4, memory), open_runtime(bundle)
    inputs = probe_inputs(bundle.manifest, 0, 4)
    ours, theirs = (to_pixels(each.run_level(0, *inputs)).astype(int) for each in (runtime, reference))
    assert np.abs(ours - theirs).max() <= 1
    runtime.close()
