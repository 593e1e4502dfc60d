"""Looking inside: networks rebuilt from a bundle, guided gradients, pooled features, forgotten maps."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from models.bundle import Bundle
from tests.training.algorithms.test_two_player import make, move
from training.compute.randomness import StepRandom
from training.errors import EvaluationError
from training.export.bundle import Source, export
from training.export.preview import draw_pictures
from training.export.provenance import Trained
from training.inside import forget, guided, representation
from training.inside.shipped import networks
from training.networks.dcgan import DcganDiscriminator, DcganGenerator
from training.networks.layers import Block
from training.recipes.tables import DiscriminatorTable, GeneratorTable


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny DCGAN, moved twice and exported."""
    algorithm, pictures = make("dcgan minibatch")
    move(algorithm, pictures, range(2))
    algorithm.refresh_statistics(StepRandom(0, 2))
    source = Source(algorithm, Trained(algorithm.recipe, 2, 16))
    return export(source, tmp_path_factory.mktemp("bundles"), "small")


def test_networks_of_a_bundle_are_those_that_are_served(shipped: Bundle) -> None:
    """Rebuilt from recipe and weights: the generator paints what ONNX Runtime paints; `random` does not."""
    generator, discriminator = networks(shipped)
    served = draw_pictures(shipped, [1, 2, 3], [None] * 3)
    noise = torch.from_numpy(np.stack([np.random.RandomState(s).standard_normal(6) for s in (1, 2, 3)])).float()
    assert np.abs(generator(noise).detach().numpy() - served).max() < 1e-4
    assert np.abs(networks(shipped, random=True)[0](noise).detach().numpy() - served).max() > 1e-3
    assert discriminator.features(torch.zeros(1, 1, 16, 16)).shape == (1, discriminator.feature_size)


def test_other_families_are_refused(tiny: Bundle) -> None:
    """A bundle that is no DCGAN of ours is one sentence."""
    with pytest.raises(EvaluationError, match="no DCGAN"):
        networks(tiny)


def test_guided_gradients_pass_where_input_and_gradient_are_positive() -> None:
    """One layer, by hand: the weights of the map, at the place of its largest response, if that response is positive."""
    torch.manual_seed(0)
    net = DcganDiscriminator(DiscriminatorTable(width=3, norm="none"), 8, 1).eval()
    (block,) = net.blocks
    assert isinstance(block, Block)
    assert isinstance(block.layer, nn.Conv2d)
    picture = torch.randn(1, 1, 8, 8)
    before = block.activation
    found = guided.guided(net, picture, 1)
    response = block.layer(picture)[0, 1]
    row, column = divmod(int(response.argmax()), 4)
    expected = torch.zeros(1, 1, 10, 10)
    expected[0, 0, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] = block.layer.weight[1, 0]
    assert response.max() > 0
    assert torch.allclose(found, expected[..., 1:-1, 1:-1], atol=1e-6)
    assert block.activation is before


def test_the_sheet_pairs_pictures_with_gradients(shipped: Bundle) -> None:
    """Six rows of five pairs, gradients within the picture's range."""
    seen = guided.strongest(networks(shipped)[1], torch.rand(20, 1, 16, 16) * 2 - 1)
    assert seen.sheet().shape == (60, 1, 16, 16)
    assert torch.equal(seen.sheet()[0], seen.pictures[0, 0])
    assert seen.gradients.abs().max() <= 1


def test_features_are_all_layers_pooled_to_four_by_four() -> None:
    """Widths 4 and 8 at 16 pixels: (4 + 8) * 16 numbers, the first ones the largest of each 2x2 of the first layer."""
    net = DcganDiscriminator(DiscriminatorTable(width=4, norm="none"), 16, 1).eval()
    pictures = torch.randn(5, 1, 16, 16)
    rows = representation.pooled_features(net, pictures, batch=2)
    assert rows.shape == (5, 12 * 16)
    first = torch.nn.functional.max_pool2d(net.blocks[0](pictures), 2).flatten(1)
    assert np.allclose(rows[:, :64], first.detach().numpy(), atol=1e-6)


def test_the_linear_machine_learns_what_is_linear() -> None:
    """Two shifted clouds are told apart; labels drawn by lot are not."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400)
    rows = (random.standard_normal((400, 5)) + 3 * labels[:, None]).astype(np.float32)
    assert representation.linear_svm(rows[:200], labels[:200], rows[200:], labels[200:]).accuracy > 0.95
    noise = random.standard_normal((400, 5)).astype(np.float32)
    assert representation.linear_svm(noise[:200], labels[:200], noise[200:], labels[200:]).accuracy < 0.65


def test_the_linear_machine_is_liblinears() -> None:
    """The same answers on unseen rows as scikit-learn's LinearSVC, but for a few that are close calls."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((900, 30)).astype(np.float32) * random.uniform(0.1, 9, 30).astype(np.float32) + 2
    labels = (rows @ random.standard_normal((30, 4)) + 9 * random.standard_normal((900, 4))).argmax(1)
    ours = representation.LinearSvm(rows[:600], labels[:600], 1e-2)
    theirs = make_pipeline(StandardScaler(), LinearSVC(C=1e-2, dual=False, tol=1e-6)).fit(rows[:600], labels[:600])
    answers = ours.classes[ours.scores(rows[600:], ours.weights).argmax(1)]
    assert (answers == theirs.predict(rows[600:])).mean() > 0.97


def test_few_labels_are_balanced() -> None:
    """Ten labels of a lopsided set: five of each class."""
    labels = np.array([0] * 90 + [1] * 10)
    rows = representation.balanced_rows(labels, 10, seed=1)
    assert np.bincount(labels[rows]).tolist() == [5, 5]


def test_the_map_that_draws_something_is_found_and_dropped() -> None:
    """Only map 2 brightens pictures: it is among the dropped, brightness is forgotten, and a random drop changes nothing."""
    torch.manual_seed(0)
    net = DcganGenerator(GeneratorTable(width=8, norm="none"), 16, 1, 6).eval().requires_grad_(False)
    last = net.output.layer
    assert isinstance(last, nn.ConvTranspose2d)
    last.weight.zero_()
    last.weight[2] = 1.0
    last.get_parameter("bias").fill_(-0.1)
    learn, test = torch.randn(400, 6), torch.randn(200, 6)
    _, pictures = forget.activations(net, learn)
    threshold = pictures.mean((1, 2, 3)).median()

    def bright(shown: Tensor) -> np.ndarray:
        return np.asarray((shown.mean((1, 2, 3)) > threshold).numpy())

    found = forget.forget(net, learn, test, bright, count=1)
    assert found.maps == (2,)
    assert found.before > 0.3
    assert found.after == 0.0
    assert found.control == found.before
