"""A run begins with another's generator: exactly from a run folder, in the mean from a bundle."""

from pathlib import Path

import pytest
import torch

from tests.training.conftest import TrainerFactory
from training.errors import RecipeError
from training.export.bundle import export_run
from training.export.straight import straight
from training.networks.straightening import Straightening
from training.run.begin_from import begin_from

MODERN = {
    "generator__build": "modern",
    "generator__gates": "true",
    "generator__residual": "true",
    "data__labels": "none",
}


def test_a_run_folder_gives_its_average(trainer: TrainerFactory) -> None:
    """The new run's first pictures are the old one's last."""
    old = trainer(folder="old", run__steps=3, **MODERN)
    old.run()
    new = trainer(folder="new", run__steps=3, run__seed=9, **MODERN)
    begin_from(new.algorithm, old.folder.path)
    latents = torch.randn(4, old.algorithm.latent_size)
    assert torch.equal(new.algorithm.sample(latents), old.algorithm.sample(latents))


@pytest.mark.parametrize(("seed", "comes_along"), [("0", True), ("9", False)])
def test_the_discriminator_of_the_same_seed_comes_along(trainer: TrainerFactory, seed: str, comes_along: bool) -> None:
    """What judged the old generator judges the new run's from its first step."""
    old = trainer(folder="old", run__steps=3, **MODERN)
    old.run()
    new = trainer(folder="new", run__steps=3, run__seed=seed, **MODERN)
    begin_from(new.algorithm, old.folder.path)
    pairs = zip(new.algorithm.discriminators(), old.algorithm.discriminators(), strict=True)
    same = [
        torch.equal(a, b)
        for new_one, old_one in pairs
        for name in new_one
        for a, b in zip(new_one[name].parameters(), old_one[name].parameters(), strict=True)
    ]
    assert all(same) == comes_along


@pytest.mark.parametrize("straightened", [False, True])
def test_a_bundle_gives_its_pictures_back(trainer: TrainerFactory, tmp_path: Path, straightened: bool) -> None:
    """Folded and unfolded again, the generator paints nearly the same, in training mode too, and trains on; turns stay out."""
    old = trainer(folder="old", run__steps=3, **MODERN)
    old.run()
    bundle = export_run(old.folder, tmp_path / "bundles", "old")
    if straightened:
        bundle = straight(bundle, Straightening(old.algorithm.latent_size, layers=2))
    new = trainer(folder="new", run__steps=2, run__seed=9, **MODERN)
    latents = torch.randn(64, old.algorithm.latent_size)
    wanted, before = old.algorithm.sample(latents), new.algorithm.sample(latents)
    begin_from(new.algorithm, bundle.folder)
    assert float((before - wanted).abs().mean()) > 5 * float((new.algorithm.sample(latents) - wanted).abs().mean())
    [(generator, _)] = new.algorithm.generators()
    with torch.no_grad():
        assert float((generator.train()(latents) - wanted).abs().mean()) < 0.1
    assert new.run().complete


@pytest.mark.parametrize("exported", [False, True])
def test_a_generator_grows_and_paints_as_before(trainer: TrainerFactory, tmp_path: Path, exported: bool) -> None:
    """A recipe with residual ways and a painting layer begins with a generator that has neither, and trains on."""
    wide = {**MODERN, "generator__width": "12"}
    old = trainer(folder="old", run__steps=3, **{**wide, "generator__residual": "false"})
    old.run()
    source = export_run(old.folder, tmp_path / "bundles", "old").folder if exported else old.folder.path
    new = trainer(folder="new", run__steps=2, run__seed=9, **wide, generator__refine="true")
    latents = torch.randn(64, old.algorithm.latent_size)
    wanted, before = old.algorithm.sample(latents), new.algorithm.sample(latents)
    begin_from(new.algorithm, source)
    error = float((new.algorithm.sample(latents) - wanted).abs().mean())
    assert float((before - wanted).abs().mean()) > 5 * error
    assert new.run().complete


FULLY_CONNECTED = {"data__channels": 1, "mlp__generator": "[16, 24]", "mlp__discriminator": "[16, 16]"}
SEMI_SUPERVISED = {
    "data__channels": 1, "data__labelled": 6, "semi_supervised__generator": "[16, 16]",
    "semi_supervised__discriminator": "[16, 16, 16]",
}  # fmt: skip


def test_a_fully_connected_bundle_gives_its_pictures_back(trainer: TrainerFactory, tmp_path: Path) -> None:
    """Its norms are folded by the exporter, into biases that the layers had before."""
    old = trainer("mnist-cgan", folder="old", run__steps=3, **FULLY_CONNECTED)
    old.run()
    bundle = export_run(old.folder, tmp_path / "bundles", "old")
    new = trainer("mnist-cgan", folder="new", run__steps=2, run__seed=9, **FULLY_CONNECTED)
    latents, labels = torch.rand(256, old.algorithm.latent_size) * 2 - 1, torch.eye(2).repeat(128, 1)
    wanted, before = old.algorithm.sample(latents, labels), new.algorithm.sample(latents, labels)
    begin_from(new.algorithm, bundle.folder)
    error = float((new.algorithm.sample(latents, labels) - wanted).abs().mean())
    assert float((before - wanted).abs().mean()) > 5 * error
    assert new.run().complete


def test_norms_that_a_bundle_has_lost_are_not_guessed(trainer: TrainerFactory, tmp_path: Path) -> None:
    """Of a semi-supervised generator they are in the graph alone: its run folder begins another run, its bundle does not."""
    old = trainer("fashion-ssl", folder="old", run__steps=1, **SEMI_SUPERVISED)
    old.run()
    bundle = export_run(old.folder, tmp_path / "bundles", "old")
    with pytest.raises(RecipeError, match="init_from"):
        begin_from(trainer("fashion-ssl", folder="new", **SEMI_SUPERVISED).algorithm, bundle.folder)


def test_another_networks_weights_are_refused(trainer: TrainerFactory) -> None:
    """Named as the recipe's fault, not as a stack of tensors."""
    old = trainer(folder="old", run__steps=1, data__labels="none")
    old.run()
    with pytest.raises(RecipeError, match="init_from"):
        begin_from(trainer(folder="new", **MODERN).algorithm, old.folder.path)


@pytest.mark.parametrize("exported", [False, True])
def test_the_levels_of_a_pyramid_grow(trainer: TrainerFactory, tmp_path: Path, exported: bool) -> None:
    """Painting layers at the finer levels begin by changing nothing; the base stays as it is."""
    pyramid = {"recipe": "lapgan-modern", "data__labels": "none", "pyramid__leak": "0.2", "pyramid__sizes": "[8, 16]"}
    old = trainer(folder="old", run__steps=3, **pyramid)
    old.run()
    source = export_run(old.folder, tmp_path / "bundles", "old").folder if exported else old.folder.path
    new = trainer(folder="new", run__steps=2, **pyramid, pyramid__refine="8")
    latents = torch.randn(16, old.algorithm.latent_size)
    wanted = old.algorithm.sample(latents)
    begin_from(new.algorithm, source)
    assert float((new.algorithm.sample(latents) - wanted).abs().mean()) < (0.05 if exported else 1e-5)
    assert new.run().complete


def test_a_painting_layer_needs_room_to_copy(trainer: TrainerFactory) -> None:
    """Two channels a colour; a narrower one is refused with its width."""
    old = trainer(folder="old", run__steps=1, **MODERN)
    old.run()
    with pytest.raises(RecipeError, match="too narrow to begin with 3 colours"):
        begin_from(trainer(folder="new", **MODERN, generator__refine="true").algorithm, old.folder.path)
