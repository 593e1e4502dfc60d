"""Where things are in pictures: what is painted at one place each time is told from what moves about."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training.algorithms.picture_bands import PictureBands
from training.data.batch import DataSpec
from training.errors import RecipeError
from training.recipes.resolve import from_tree, resolve
from training.recipes.tables import MatchingTable

COUNT = 512
HERE, THERE = range(4, 12), range(16, 28)


def test_things_that_stay_where_they_are_cost_more_than_things_that_move_about() -> None:
    """Real pictures have their square anywhere: so do cheap ones; a generator that knows one place only pays."""
    bands = looked(squares(1, HERE), squares(2, HERE))
    assert cost(bands, squares(2, HERE)) < 0.1
    fixed = looked(squares(1, HERE), squares(2, range(7, 8)))
    assert cost(fixed, squares(2, range(7, 8))) > 5 * cost(bands, squares(2, HERE))


def test_each_class_has_its_places() -> None:
    """Squares in the half of the other class cost more, though together they lie where real ones do."""
    real = torch.cat([squares(1, HERE), squares(2, THERE)])
    same, swapped = torch.cat([squares(3, HERE), squares(4, THERE)]), torch.cat([squares(5, THERE), squares(6, HERE)])
    labels = F.one_hot(torch.arange(2).repeat_interleave(COUNT), 2).float()
    right, wrong = looked(real, same, labels), looked(real, swapped, labels)
    assert cost(wrong, swapped, labels) > 3 * cost(right, same, labels)


@pytest.mark.parametrize("shape", [(28, 28, 1), (64, 64, 3), (48, 80, 3), (30, 50, 3), (8, 8, 1), (4, 6, 3)])
def test_bands_hold_the_whole_picture_whatever_its_size(shape: tuple[int, int, int]) -> None:
    """Each of its places is seen, also where sides are odd, differ or fit into one tile."""
    height, width, channels = shape
    bands = PictureBands(DataSpec(height, channels, width=width), MatchingTable(bands=1.0), 0, torch.device("cpu"))
    pictures = torch.rand(2, channels, height, width, requires_grad=True)
    found = bands.seen(pictures)
    assert [tile.shape[1] for tile in found] == [space.size for space in bands.spaces]
    torch.cat(found, 1).square().sum().backward()
    assert pictures.grad is not None
    assert (pictures.grad.abs().amax((0, 1)) > 0).all()


def test_corners_that_are_always_black_cost_nothing() -> None:
    """Tiles without any variance, as beside handwritten digits, give no number that is none."""
    real, fake = (F.pad(squares(seed, HERE), (32, 0, 32, 0), value=-1.0) for seed in (1, 2))
    assert 0 <= cost(looked(real, fake), fake) < 0.1


@pytest.mark.parametrize("switch", ["bands", "early"])
def test_without_networks_nobody_would_hear_of_it(switch: str) -> None:
    """The picture's bands and early stages stand beside the last layer's features, not for themselves."""
    with pytest.raises(RecipeError, match=rf"matching\.{switch} does nothing"):
        from_tree(resolve("faces64", []).model_dump() | {"matching": {switch: 0.5}})


def looked(real: Tensor, fake: Tensor, labels: Tensor | None = None) -> PictureBands:
    """Bands that know both sets and have found their ways."""
    table = MatchingTable(bands=1.0, population=4 * COUNT)
    classes = 0 if labels is None else labels.shape[1]
    bands = PictureBands(DataSpec(*real.shape[2:0:-1]), table, classes, torch.device("cpu"))
    bands.look_at_real(real, labels)
    bands.look(fake, labels)
    bands.find_ways(0)
    return bands


def cost(bands: PictureBands, pictures: Tensor, labels: Tensor | None = None) -> float:
    """What they have to go."""
    return float(bands.loss(pictures, labels)[0])


def squares(seed: int, where: range) -> Tensor:
    """[COUNT, 1, 32, 32]: a white square of 4x4 pixels on black, its left edge and its top anywhere in `where`."""
    corners = torch.randint(where.start, where.stop, (COUNT, 2), generator=torch.Generator().manual_seed(seed))
    pictures = -torch.ones(COUNT, 1, 32, 32)
    for picture, (top, left) in zip(pictures, corners.tolist(), strict=True):
        picture[0, top : top + 4, left : left + 4] = 1.0
    return pictures
