"""Every technique switched on in a tiny recipe: it moves, resumes bit-equal, and exports something that judges alone."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from training import algorithms
from training.algorithms.base import Algorithm, Setting
from training.algorithms.two_player import TwoPlayer
from training.compute.randomness import StepRandom
from training.data.batch import Batch, DataSpec
from training.data.dataset import Dataset, balanced_subset
from training.errors import DataError, RecipeError
from training.methods.adaptive import AdaptiveProbability
from training.networks.weight_norm import normalised_layers
from training.recipes.resolve import from_tree
from training.recipes.tables import AugmentTable

RUN = {"batch": 8, "precision": "float32", "channels_last": False, "steps": 20}
MLP = {"generator": [16], "discriminator": [12], "pieces": 2}
SSL = {"generator": [16], "discriminator": [16, 12], "average_images": 100}
CONVOLUTIONAL = {"network": "convolutional", "generator": [8, 8, 8], "discriminator": [6, 8]}
CASES: dict[str, dict[str, Any]] = {
    "gan": {"algorithm": "gan", "mlp": MLP},
    "cgan": {"algorithm": "gan", "mlp": MLP, "data": {"labels": "class"}},
    "mlp minibatch": {"algorithm": "gan", "mlp": MLP, "technique": {"minibatch_kernels": 4}},
    "mlp relativistic": {
        "algorithm": "gan",
        "mlp": MLP,
        "loss": {"kind": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0, "r1_every": 2},
    },
    "projected": {
        "algorithm": "projected",
        "data": {"size": 32},
        "generator": {"build": "modern", "gates": True, "width": 4},
        "loss": {"kind": "relativistic", "r1_gamma": 30.0, "r2_gamma": 30.0, "r1_every": 2},
        "augment": {"policy": ["color", "translation", "cutout"], "adaptive": 0.6, "adaptive_kimg": 0.1},
    },
    "projected with labels": {
        "algorithm": "projected",
        "data": {"size": 32, "labels": "class"},
        "loss": {"kind": "hinge", "auxiliary": 1.0},
    },
    "dcgan minibatch": {"technique": {"minibatch_kernels": 4, "input_noise": 0.1}},
    "dcgan feature matching": {"technique": {"feature_matching": "l1"}},
    "dcgan historical": {"technique": {"historical": 0.1}},
    "dcgan virtual": {"generator": {"norm": "virtual"}},
    "dcgan weight norm": {"discriminator": {"norm": "weight"}},
    "ssl": {"algorithm": "improved_gan", "semi_supervised": SSL, "technique": {"feature_matching": "squared"}},
    "ssl bf16 seldom averaged": {
        "algorithm": "improved_gan",
        "semi_supervised": SSL,
        "technique": {"feature_matching": "squared", "input_noise": 0.3},
        "ema": {"images": 100, "every": 3},
        "run": {**RUN, "precision": "bf16"},
    },
    "ssl convolutional": {
        "algorithm": "improved_gan",
        "semi_supervised": CONVOLUTIONAL,
        "technique": {"feature_matching": "l1"},
    },
}


def dataset(size: int, channels: int, labels: bool, kept: int = 0) -> Dataset:
    pictures = torch.randint(0, 256, (64, channels, size, size), generator=torch.Generator().manual_seed(1)).byte()
    answers, classes = torch.arange(64) % 3, ("a", "b", "c")
    subset = balanced_subset(answers, classes, kept, 0)
    return Dataset(pictures, answers if labels else None, classes if labels else (), kept=subset)


def make(case: str) -> tuple[Algorithm, Dataset]:
    tree: dict[str, Any] = json.loads(json.dumps(CASES[case]))
    small = tree.get("algorithm", "dcgan") in {"gan", "improved_gan"} and "convolutional" not in case
    semi = tree.get("algorithm") == "improved_gan"
    size = 12 if small else tree.get("data", {}).get("size", 32 if semi else 16)
    data = {"size": size, "channels": 1, **tree.pop("data", {})}
    data |= {"labels": "class", "labelled": 6} if semi else {}
    defaults = {"generator": {"width": 4}, "discriminator": {"width": 4}}
    for table, values in defaults.items():
        tree[table] = {**values, **tree.get(table, {})}
    recipe = from_tree({"name": "t", "data": data, "run": RUN, "latent": {"size": 6}, **tree})
    pictures = dataset(size, 1, data.get("labels", "none") != "none", data.get("labelled", 0))
    spec = DataSpec(size, 1, pictures.classes)
    return algorithms.build(Setting(recipe, spec)), pictures


def move(algorithm: Algorithm, pictures: Dataset, steps: range) -> dict[str, float]:
    stats: dict[str, torch.Tensor] = {}
    for step in steps:
        random = StepRandom(0, step)
        random.seed_global()
        indices = torch.arange(step, step + algorithm.pictures_per_step) % len(pictures)
        stats = algorithm.step(pictures.batch(indices, random), random)
    return {name: float(value) for name, value in stats.items()}


@pytest.mark.parametrize("case", CASES)
def test_killed_and_resumed_is_bit_equal(case: str) -> None:
    """Two steps, stop, load elsewhere, two more: every weight as if nothing had happened; all costs finite."""
    whole, pictures = make(case)
    stats = move(whole, pictures, range(4))
    assert all(torch.isfinite(torch.tensor(value)) for value in stats.values()), stats
    first, _ = make(case)
    move(first, pictures, range(2))
    second, _ = make(case)
    second.load_state_dict(first.state_dict())
    move(second, pictures, range(2, 4))
    for name in ("generator", "discriminator"):
        for mine, theirs in zip(whole.state_dict()[name].values(), second.state_dict()[name].values(), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("case", CASES)
def test_exports_answer_each_picture_alone(case: str) -> None:
    """The exported generator and discriminator give a picture the same answer alone and in a batch."""
    algorithm, pictures = make(case)
    move(algorithm, pictures, range(2))
    algorithm.refresh_statistics(StepRandom(0, 2))
    level = algorithm.export_levels()[0]
    noise = torch.randn(4, *level.noise_shape)
    label = (torch.eye(3)[[0, 1, 2, 0]],) if level.takes_label else ()
    together = level.module(noise, *label)
    assert together.shape == (4, 1, algorithm.data.size, algorithm.data.size)
    assert together.abs().max() <= 1
    alone = level.module(noise[2:3], *(part[2:3] for part in label))
    assert torch.allclose(alone[0], together[2], atol=1e-5)
    discriminator = algorithm.export_discriminator()
    if discriminator is None:
        assert case == "cgan" or case.startswith("projected")
        return
    logits, features = discriminator(together)
    alone_logits, alone_features = discriminator(together[2:3])
    assert torch.allclose(alone_logits[0], logits[2], atol=1e-5)
    assert torch.allclose(alone_features[0], features[2], atol=1e-5)


def test_adaptive_augmentation_follows_the_judge() -> None:
    """A discriminator that is right more often than wished gets more augmented pictures; one at a toss gets none."""
    probability = AdaptiveProbability(AugmentTable(adaptive=0.6, adaptive_kimg=0.1), torch.device("cpu"))
    probability.learn(torch.tensor(0.9), 32)
    assert float(probability.value) == pytest.approx(0.32)
    for _ in range(5):
        probability.learn(torch.tensor(0.9), 32)
    assert float(probability.value) == 1.0
    probability.learn(torch.tensor(0.7), 32)
    assert float(probability.value) == pytest.approx(0.68)


@pytest.mark.parametrize("case", ["ssl", "dcgan weight norm"])
def test_exporting_does_not_harm_the_run(case: str) -> None:
    """After an export the same networks sample, train on, and export the same again."""
    algorithm, pictures = make(case)
    move(algorithm, pictures, range(2))
    noise = torch.randn(3, 6)
    before = algorithm.sample(noise)
    levels = [algorithm.export_levels()[0].module(noise) for _ in range(2)]
    algorithm.export_discriminator()
    assert torch.equal(levels[0], levels[1])
    assert torch.equal(algorithm.sample(noise), before)
    move(algorithm, pictures, range(2, 3))


def test_samples_are_those_of_the_export() -> None:
    """What the grid shows is what is served."""
    algorithm, pictures = make("dcgan virtual")
    move(algorithm, pictures, range(3))
    algorithm.refresh_statistics(StepRandom(0, 3))
    noise = torch.randn(3, 6)
    assert torch.allclose(algorithm.sample(noise), algorithm.export_levels()[0].module(noise), atol=1e-5)


def test_only_kept_labels_are_handed_out() -> None:
    """A semi-supervised batch has no labels; the labelled pool holds equally many of each class, always the same."""
    pictures = dataset(12, 1, labels=True, kept=6)
    batch = pictures.batch(torch.arange(10))
    assert batch.labels is None
    assert isinstance(batch.labelled, Batch)
    assert batch.labelled.labels is not None
    assert batch.labelled.labels.sum(0).tolist() == [2, 2, 2]
    first, second = (balanced_subset(torch.arange(64) % 3, "abc", 6, seed) for seed in (0, 1))
    again = balanced_subset(torch.arange(64) % 3, "abc", 6, 0)
    assert first is not None
    assert second is not None
    assert again is not None
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_labels_that_cannot_be_shared_equally_are_refused() -> None:
    """Seven labels for three classes is a sentence, not a silent rounding."""
    with pytest.raises(DataError, match="equally"):
        balanced_subset(torch.arange(64) % 3, "abc", 7, 0)


def test_a_semi_supervised_recipe_needs_kept_labels() -> None:
    """The algorithm and data.labelled belong together; feature matching is what drives its generator."""
    with pytest.raises(RecipeError, match="belong together"):
        from_tree({"name": "t", "algorithm": "improved_gan", "data": {"labels": "class"}})


@pytest.mark.parametrize("case", ["ssl", "ssl convolutional"])
def test_a_semi_supervised_pair_matches_features_and_norms_weights(case: str) -> None:
    """Every layer of the classifier has it, and without feature matching there is no pair."""
    algorithm, _ = make(case)
    assert isinstance(algorithm, TwoPlayer)
    layers = [layer for layer in algorithm.discriminator.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    assert layers
    assert layers == normalised_layers(algorithm.discriminator)
    tree = algorithm.recipe.model_dump(mode="json")
    tree["technique"]["feature_matching"] = "none"
    with pytest.raises(RecipeError, match="feature_matching"):
        algorithms.build(Setting(from_tree(tree), DataSpec(12, 1, ("a", "b", "c"))))


def test_averages_move_when_the_recipe_says_and_at_the_end() -> None:
    """ema.every=3: untouched after two steps, moved by the third, and by the last step of the run."""
    algorithm, pictures = make("ssl bf16 seldom averaged")

    def averages() -> list[torch.Tensor]:
        state = algorithm.state_dict()
        return [state[part]["head.bias" if part == "average_classifier" else "output.bias"].clone() for part in names]

    names = ("average", "average_classifier")
    first = averages()
    move(algorithm, pictures, range(2))
    assert all(map(torch.equal, first, averages()))
    move(algorithm, pictures, range(2, 3))
    third = averages()
    assert not any(map(torch.equal, first, third))
    move(algorithm, pictures, range(19, 20))  # the last of 20
    assert not any(map(torch.equal, third, averages()))


def test_the_judge_of_a_relativistic_pair_is_undecided_about_generated_pictures() -> None:
    """Only differences of its logits were learned, so zero is set: the mean over generated pictures."""
    algorithm, pictures = make("mlp relativistic")
    assert isinstance(algorithm, TwoPlayer)
    move(algorithm, pictures, range(3))
    with torch.no_grad():
        algorithm.discriminator.get_parameter("head.bias").add_(7.0)
    discriminator = algorithm.export_discriminator()
    assert discriminator is not None
    latents = StepRandom(1, 0).latents("any", 500, algorithm.latent_size, "uniform")
    logits, _ = discriminator(algorithm.sample(latents))
    assert abs(float(logits.mean())) < 0.5
