"""LAPGAN: every level learns on its own, sees sums and never residuals, and a killed run continues exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.algorithms import build
from training.algorithms.base import Setting
from training.algorithms.lapgan import Lapgan
from training.algorithms.lapgan_level import LevelBatch, sgd_numbers
from training.algorithms.projected_level import ProjectedLevel
from training.compute.randomness import StepRandom
from training.data.batch import Batch, DataSpec
from training.data.dataset import load_dataset
from training.errors import RecipeError
from training.networks.lapgan import ResidualLevel, SubpixelResidual
from training.recipes.resolve import resolve
from training.recipes.tables import DataTable, SgdTable

SMALL = [
    "pyramid.base_width=8",
    "pyramid.width=8",
    "pyramid.discriminator_width=8",
    "run.batch=8",
    "run.precision=float32",
]
RECIPES = [
    "lapgan-paper",
    "lapgan-released",
    "lapgan-modern",
    "cifar32-lapgan",
    "cifar32-lapgan-2015",
    "faces64-lapgan",
    "faces64-lapgan-2015",
    "photo-x2",
]


def make(name: str, *overrides: str) -> tuple[Lapgan, Batch]:
    """A tiny run of a shipped recipe, and a batch of noise for it."""
    recipe = resolve(name, [*SMALL, *overrides])
    classes = tuple("abc") if recipe.data.labels != "none" else ()
    spec = DataSpec(recipe.data.size, 3, classes)
    algorithm = build(Setting(recipe, spec))
    assert isinstance(algorithm, Lapgan)
    draw = StepRandom(1, 0)
    side = recipe.data.size
    labels = torch.nn.functional.one_hot(draw.integers("l", 3, 8), 3).float() if classes else None
    return algorithm, Batch(draw.uniform("p", 8, 3, side, side, low=-1, high=1), labels)


def step(algorithm: Lapgan, batch: Batch, number: int) -> dict[str, torch.Tensor]:
    random = StepRandom(0, number)
    random.seed_global()
    return algorithm.step(batch, random)


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_trains_and_samples(name: str) -> None:
    """One step moves every level, losses are finite, pictures have the recipe's size."""
    algorithm, batch = make(name)
    before = [p.detach().clone() for level in algorithm.levels for p in level.generator.parameters()]
    stats = step(algorithm, batch, 0)
    assert all(torch.isfinite(value) for value in stats.values())
    after = [p for level in algorithm.levels for p in level.generator.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    labels = None if batch.labels is None else batch.labels[:2]
    pictures = algorithm.sample(torch.randn(2, algorithm.latent_size), labels)
    assert pictures.shape == (2, 3, algorithm.sizes[-1], algorithm.sizes[-1])


@pytest.mark.parametrize("name", ["lapgan-paper", "cifar32-lapgan-2015", "faces64-lapgan", "photo-x2"])
def test_a_resumed_run_is_bit_equal(name: str) -> None:
    """Two steps, a save, two more: the same weights as four steps in one go."""
    straight, batch = make(name)
    for number in range(4):
        step(straight, batch, number)
    first, _ = make(name)
    for number in range(2):
        step(first, batch, number)
    second, _ = make(name)
    second.load_state_dict(first.state_dict())
    for number in range(2, 4):
        step(second, batch, number)
    for mine, other in zip(straight.levels, second.levels, strict=True):
        for a, b in zip(mine.generator.state_dict().values(), other.generator.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_levels_of_the_paper_learn_without_each_other() -> None:
    """Trained on real low-pass pictures, a level ends the same whatever the others do."""
    alone, batch = make("lapgan-released")
    together, _ = make("lapgan-released")
    with torch.no_grad():
        for parameter in together.levels[0].generator.parameters():
            parameter.zero_()
    random = StepRandom(0, 0)
    for algorithm in (alone, together):
        torch.manual_seed(0)
        pictures = algorithm.pyramid.pictures(batch.pictures)
        algorithm.levels[2].step(algorithm._level_batch(2, pictures, None, random), StepRandom(0, 0))
    for a, b in zip(alone.levels[2].generator.parameters(), together.levels[2].generator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_penalty_counts_a_levels_own_moves() -> None:
    """Every second move of each level, however seldom the level moves."""
    algorithm, batch = make("cifar32-lapgan-2015", "pyramid.every=[1,2,4]", "loss.r1_every=2")
    stats = [step(algorithm, batch, number) for number in range(12)]
    told = {size: [n for n, row in enumerate(stats) if f"level{size}_r1" in row] for size in (8, 16, 32)}
    assert told == {8: [0, 2, 4, 6, 8, 10], 16: [0, 4, 8], 32: [0, 8]}


def test_projected_levels_learn_from_disturbed_low_pictures() -> None:
    """Noise up to the recipe's deviation on what a level is given, another for each picture; the base is given none."""
    algorithm, batch = make("faces64-lapgan", "pyramid.conditioning_noise=0.2")
    level, pictures = algorithm.levels[1], algorithm.pyramid.pictures(batch.pictures)
    assert isinstance(level, ProjectedLevel)
    given = LevelBatch(pictures[1], pictures[0])
    shown = level.disturbed(given, StepRandom(0, 3)).previous
    assert shown is not None
    deviations = (shown - pictures[0]).flatten(1).std(1)
    assert float(deviations.max()) < 0.22
    assert float(deviations.max() - deviations.min()) > 0.02
    assert level.disturbed(LevelBatch(pictures[0]), StepRandom(0, 3)).previous is None


def test_each_residual_net_has_the_shape_the_recipe_gives_it() -> None:
    """The finest level, whose pixels cost most, may be the narrowest; a wrong number of widths is refused."""
    algorithm, _ = make("faces64-lapgan", "pyramid.widths=[12,6]", "pyramid.unit_counts=[2,1]")
    levels = [level.generator for level in algorithm.levels[1:] if isinstance(level.generator, ResidualLevel)]
    nets = [level.residual for level in levels if isinstance(level.residual, SubpixelResidual)]
    assert [net.input.weight.shape[0] for net in nets] == [12, 6]
    assert [len(net.units) for net in nets] == [2, 1]
    with pytest.raises(RecipeError, match="one number a residual level"):
        resolve("faces64-lapgan", ["pyramid.widths=[12]"])


def test_mixing_in_generated_low_pictures() -> None:
    """Late in a run the coarser levels make the share the recipe asks for; the rest is real, and the two are told apart."""
    algorithm, batch = make("lapgan-modern", "run.steps=10")
    pictures = algorithm.pyramid.pictures(batch.pictures)
    early = algorithm._level_batch(1, pictures, None, StepRandom(0, 5))
    assert early.previous is not None
    assert torch.equal(early.previous, pictures[0])
    mixed = algorithm._level_batch(1, pictures, None, StepRandom(0, 6))
    assert mixed.previous is not None
    assert mixed.matched is not None
    assert mixed.matched.tolist() == [0.0] * 4 + [1.0] * 4
    assert torch.equal(mixed.previous[4:], pictures[0][4:])
    assert not torch.equal(mixed.previous[:4], pictures[0][:4])


def test_the_exported_levels_make_the_sampled_pictures() -> None:
    """Chained by hand from the cuts of one latent, the exported modules give what `sample` gives."""
    algorithm, batch = make("cifar32-lapgan-2015")
    step(algorithm, batch, 0)
    latents = torch.from_numpy(np.random.RandomState(7).standard_normal((2, algorithm.latent_size)).astype(np.float32))
    assert batch.labels is not None
    picture: torch.Tensor | None = None
    labels, start = batch.labels[:2], 0
    for level in algorithm.export_levels():
        count = int(torch.Size(level.noise_shape).numel())
        noise = latents[:, start : start + count].reshape(2, *level.noise_shape)
        inputs = (noise, labels) if picture is None else (picture, noise, labels)
        picture, start = level.module(*inputs), start + count
    assert start == algorithm.latent_size == 100 + 16 * 16 + 32 * 32
    assert picture is not None
    assert torch.allclose(picture, algorithm.sample(latents, labels), atol=1e-5)


def test_the_residual_may_be_twice_the_range_of_pictures() -> None:
    """The residual head is linear: a detail of +2 is not squashed."""
    algorithm, _ = make("lapgan-released")
    module = algorithm.export_levels()[1].module
    assert isinstance(module, ResidualLevel)
    with torch.no_grad():
        list(module.residual.parameters())[-1].fill_(2.0)
        for parameter in list(module.residual.parameters())[:-1]:
            parameter.zero_()
    low = torch.full((1, 3, 8, 8), -0.5)
    assert torch.allclose(module(low, torch.zeros(1, 1, 16, 16)), torch.full((1, 3, 16, 16), 1.5), atol=1e-6)


@pytest.mark.parametrize("refine", [0, 8])
def test_an_any_size_level_does_not_depend_on_the_place(refine: int) -> None:
    """A part with its halo gives the pixels of the whole, for sizes never trained on."""
    algorithm, batch = make("photo-x2", f"pyramid.refine={refine}")
    step(algorithm, batch, 0)
    level = algorithm.export_levels()[0]
    whole, noise = torch.rand(1, 3, 50, 41) * 2 - 1, torch.randn(1, 1, 100, 82)
    halo, top, left = level.halo, 3, 5
    window = (slice(None), slice(None), slice(top, top + 40), slice(left, left + 33))
    wide = (slice(None), slice(None), slice(2 * top, 2 * top + 80), slice(2 * left, 2 * left + 66))
    part = level.module(whole[window], noise[wide])
    full = level.module(whole, noise)[wide]
    inner = (..., slice(2 * halo, -2 * halo), slice(2 * halo, -2 * halo))
    assert (part[inner] - full[inner]).abs().max() < 1e-5


def test_the_authors_schedule() -> None:
    """Momentum grows by .0008 an epoch up to its cap, the rate is divided each epoch down to its floor."""
    table = SgdTable()
    assert sgd_numbers(table, 0) == {"lr": 0.02, "momentum": 0.5}
    later = sgd_numbers(table, 1000 * 45_000)
    assert later["momentum"] == 0.8
    assert later["lr"] == pytest.approx(0.02 / 1.00004**1000)


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("lapgan-modern", "pyramid.sizes=[8, 14, 32]"),
        ("lapgan-modern", "pyramid.sizes=[8, 16]"),
        ("lapgan-modern", "pyramid.sizes=[16, 8, 32]"),
        ("photo-x2", "pyramid.operator=corner-aligned"),
        ("cifar32-lapgan-2015", "pyramid.every=[1, 2]"),
    ],
)
def test_recipes_that_cannot_work_are_refused(name: str, override: str) -> None:
    """A wrong chain of sizes is found before anything is trained."""
    with pytest.raises(RecipeError):
        resolve(name, [override])


def test_cut_outs_are_the_same_every_time_and_keep_out_what_is_held_out(tmp_path: Path) -> None:
    """An upsampler's training set is a function of the recipe; pictures kept for measuring never enter it."""
    for k in range(6):
        Image.new("RGB", (40, 30 + k), (k * 40, 0, 0)).save(tmp_path / f"{k}.png")
    table = DataTable(path=str(tmp_path), size=16, cutouts=24, cutout_scales=(1.0, 1.5, 4.0), holdout=3)
    first, second = (load_dataset(table)[0].pictures for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (24, 3, 16, 16)
    assert set(first[:, 0].flatten().tolist()) == {40, 80, 160, 200}
