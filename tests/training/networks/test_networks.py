"""The DCGAN pair at every size and option, and the folding of BatchNorm."""

import pytest
import torch
from torch import nn

from training.networks.dcgan import DcganDiscriminator, DcganGenerator, stage_widths
from training.networks.layers import NORMS, fold_batch_norms, make_norm
from training.networks.lenet import LeNet
from training.recipes.resolve import resolve
from training.recipes.sizes import Sides, base_of, refusal, sides_of, works
from training.recipes.tables import DiscriminatorTable, GeneratorTable

LABEL = torch.eye(3)[:2]
SIZES = (16, 128, 48, 80, (64, 96), (32, 20))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 4},
        {"kernel": 5, "norm_at_output": True},
        {"upsample": "resize", "labels": "layers", "norm_affine": False},
        {"norm": "none"},
    ],
)
def test_generators_give_pictures_in_range(size: int | Sides, options: dict[str, object]) -> None:
    """Every size that halves well, kernel, upsampling and norm; one value range."""
    table = GeneratorTable.model_validate({"width": 2, **options})
    network = DcganGenerator(table, size, channels=3, noise=5, labels=3)
    picture = network(torch.randn(2, 5), LABEL)
    assert picture.shape == (2, 3, *sides_of(size))
    assert picture.abs().max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 4, "spectral_norm": True},
        {"kernel": 5, "norm_at_input": True, "pooling": "average"},
        {"labels": "layers", "norm": "none"},
    ],
)
def test_discriminators_judge_every_size(size: int | Sides, options: dict[str, object]) -> None:
    """One logit a picture, features of the stated size, class logits on request."""
    table = DiscriminatorTable.model_validate({"width": 2, **options})
    network = DcganDiscriminator(table, size, channels=1, labels=3, auxiliary=True)
    output = network(torch.randn(2, 1, *sides_of(size)), LABEL)
    assert output.logit.shape == (2,)
    assert output.features.shape == (2, network.feature_size)
    assert output.classes is not None
    assert output.classes.shape == (2, 3)


@pytest.mark.parametrize(
    ("size", "named"),
    [
        (100, "96 and 112"),
        (12, "16 and 20"),
        (300, "224 and 256"),
        ((64, 100), "64x96 and 64x104"),
        ((50, 64), "48x64 and 56x64"),
    ],
)
def test_other_sizes_are_refused_with_near_ones(size: int | Sides, named: str) -> None:
    """The sentence names two sizes that work, and they do."""
    assert not works(size)
    assert refusal(size).endswith(f"the nearest that can are {named}")
    for word in named.split(" and "):
        sides = tuple(int(side) for side in word.split("x"))
        assert works(sides if len(sides) == 2 else sides[0])


def test_powers_of_two_begin_as_they_did() -> None:
    """The first map of the published sizes is 4x4."""
    assert [base_of(size) for size in (16, 32, 64, 128)] == [(4, 4)] * 4


def test_the_paper_recipe_has_the_papers_widths() -> None:
    """1024-512-256-128 up, 128-256-512-1024 down, no norm at G's output and D's input."""
    recipe = resolve("dcgan-paper")
    assert stage_widths(recipe.generator.width, recipe.generator.max_width, 64)[::-1] == [1024, 512, 256, 128]
    with torch.device("meta"):
        generator = DcganGenerator(recipe.generator, 64, 3, 100)
        discriminator = DcganDiscriminator(recipe.discriminator, 64, 3)
    assert isinstance(generator.output.norm, nn.Identity)
    assert isinstance(discriminator.blocks[0].norm, nn.Identity)
    assert isinstance(discriminator.blocks[1].norm, nn.BatchNorm2d)


@pytest.mark.parametrize(
    "options", [{}, {"kernel": 5, "norm_affine": False}, {"upsample": "resize"}, {"norm_at_output": True}]
)
def test_folding_batch_norm_changes_no_picture(options: dict[str, object]) -> None:
    """Fewer layers, the same function."""
    torch.manual_seed(0)
    network = DcganGenerator(GeneratorTable.model_validate({"width": 4, **options}), 16, 3, noise=5)
    for _ in range(5):
        network(torch.randn(8, 5) * 2)  # running statistics that are not the initial ones
    noise = torch.randn(4, 5)
    with torch.no_grad():
        expected = network.eval()(noise)
        folded = fold_batch_norms(network)(noise)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert (folded - expected).abs().max() < 1e-5


def test_features_do_not_depend_on_company() -> None:
    """In evaluation mode a picture's features are its own."""
    network = DcganDiscriminator(DiscriminatorTable(width=2), 16, 1).eval()
    pictures = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network.features(pictures)[2:3], network.features(pictures[2:3]), atol=1e-6)


def test_unknown_norms_are_named() -> None:
    """The error lists what there is."""
    with pytest.raises(KeyError, match=", ".join(NORMS)):
        make_norm("group", 4)


def test_lenet_shapes() -> None:
    """Logits and features of small pictures."""
    network = LeNet(32, 1, 10)
    assert network(torch.randn(2, 1, 32, 32)).shape == (2, 10)
    assert network.features(torch.randn(2, 1, 32, 32)).shape == (2, 128)
