"""Weights alone, in the layouts people have, become bundles whose pictures are those of the network that was trained."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.errors import ImportRefusedError
from tests.models.imports.conftest import Import, same
from tests.models.imports.generators import CLASSES, NZ, example, latents, mlp, trained, upsampling


def test_a_checkpoint_of_the_pytorch_examples(tmp_path: Path, imported: Import) -> None:
    """netG_epoch_24.pth, as `main.py` of the DCGAN example writes it, needs no option at all."""
    network = example()
    torch.save(network.state_dict(), tmp_path / "netG_epoch_24.pth")
    bundle, facts = imported(tmp_path / "netG_epoch_24.pth")
    assert bundle.name == "netG_epoch_24"
    assert facts["size"] == "32x32 (assumed)"
    assert facts["activations"] == "relu, tanh last (assumed)"
    assert same(bundle, network(latents(4)[:, :, None, None]))


def test_names_of_data_parallel_training_are_understood(tmp_path: Path, imported: Import) -> None:
    network = example()
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "g.pth")
    bundle, _ = imported(tmp_path / "g.pth")
    assert same(bundle, network(latents(4)[:, :, None, None]))


def test_a_tutorials_checkpoint_with_everything_inside(tmp_path: Path, imported: Import) -> None:
    """Generator, discriminator and optimisers in one dictionary, the generator nested once more."""
    network, other = example(), example()
    content = {
        "epoch": 5,
        "netG": {"state_dict": network.state_dict()},
        "netD": nn.Sequential(nn.Conv2d(3, 64, 4), nn.Conv2d(64, 99, 4), nn.Conv2d(99, 1, 4)).state_dict(),
        "optimizerG": torch.optim.Adam(other.parameters()).state_dict(),
    }
    torch.save(content, tmp_path / "checkpoint.tar")
    bundle, facts = imported(tmp_path / "checkpoint.tar")
    assert facts["weights"] == "netG.state_dict (file)"
    assert same(bundle, network(latents(4)[:, :, None, None]))


@pytest.mark.parametrize("key", ["state_dict", "generator", "netG", "G", "model", "generator_state_dict"])
def test_one_dictionary_inside_another(tmp_path: Path, imported: Import, key: str) -> None:
    network = example()
    torch.save({key: network.state_dict(), "epoch": 3}, tmp_path / "g.pt")
    bundle, _ = imported(tmp_path / "g.pt")
    assert same(bundle, network(latents(2)[:, :, None, None]))


def test_averaged_weights_are_preferred(tmp_path: Path, imported: Import) -> None:
    """A checkpoint with `g` and `g_ema` serves the averaged generator."""
    newest, averaged = example(), example()
    with torch.no_grad():
        averaged.get_parameter("main.0.weight").mul_(0.5)
    torch.save({"g": newest.state_dict(), "g_ema": averaged.state_dict()}, tmp_path / "g.pt")
    bundle, facts = imported(tmp_path / "g.pt")
    assert facts["weights"] == "g_ema (file)"
    assert same(bundle, averaged(latents(2)[:, :, None, None]))


def test_one_flat_dictionary_with_both_networks(tmp_path: Path, imported: Import) -> None:
    """Lightning writes `generator.…` and `discriminator.…` side by side."""
    network = example()
    both = {f"generator.{name}": value for name, value in network.state_dict().items()}
    both |= {f"discriminator.{name}": value for name, value in nn.Sequential(nn.Conv2d(3, 8, 4)).state_dict().items()}
    torch.save({"state_dict": both}, tmp_path / "last.ckpt")
    bundle, _ = imported(tmp_path / "last.ckpt")
    assert same(bundle, network(latents(2)[:, :, None, None]))


@pytest.mark.parametrize("last", [(4, 2, 1), (5, 3, 1)])
def test_lornatangs_generators(tmp_path: Path, imported: Import, last: tuple[int, int, int]) -> None:
    """The newer one has a bias in its last layer, the older one ends with a kernel of 5 and a stride of 3."""
    network = example(last_kernel=last, last_bias=last[0] == 4)
    torch.save({"epoch": 1, "state_dict": network.state_dict()}, tmp_path / "dcgan.pth.tar")
    bundle, _ = imported(tmp_path / "dcgan.pth.tar")
    assert bundle.manifest.image.height == (32 if last[0] == 4 else 48)
    assert same(bundle, network(latents(2)[:, :, None, None]))


def test_pytorch_gan_with_upsampling(tmp_path: Path, imported: Import) -> None:
    """Where the picture is doubled is read from the numbering; the unusual epsilon of that project is known."""
    network = upsampling()
    torch.save(network.state_dict(), tmp_path / "generator.pth")
    bundle, facts = imported(tmp_path / "generator.pth")
    assert facts["BatchNorm epsilon"] == "0.8 (assumed)"
    assert facts["enlargements"].startswith("2 by nearest neighbour")
    assert same(bundle, network(latents(4)))


def test_pytorch_gans_acgan_multiplies_the_label(tmp_path: Path, imported: Import) -> None:
    network = upsampling(CLASSES)
    torch.save(network.state_dict(), tmp_path / "acgan.pth")
    bundle, _ = imported(tmp_path / "acgan.pth", labels="a,b,c,d,e")
    assert bundle.manifest.labels == ("a", "b", "c", "d", "e")
    assert same(bundle, network(latents(3), torch.full((3,), 2)), label=2)


@pytest.mark.parametrize("labels", [0, CLASSES])
def test_pytorch_gans_linear_generators(tmp_path: Path, imported: Import, labels: int) -> None:
    network = mlp(labels)
    torch.save(network.state_dict(), tmp_path / "mlp.pth")
    bundle, _ = imported(tmp_path / "mlp.pth")
    assert (bundle.manifest.image.height, bundle.manifest.image.channels) == (14, 1)
    assert bundle.manifest.latent.size == NZ
    wanted = network(latents(3), torch.full((3,), 4)) if labels else network(latents(3))
    assert same(bundle, wanted, label=4 if labels else None)


def test_safetensors_of_the_same_layouts(tmp_path: Path, imported: Import) -> None:
    """The format sorts names; the order of layers is found again."""
    for network, given in ((example(), latents(2)[:, :, None, None]), (upsampling(), latents(2))):
        save_file(network.state_dict(), tmp_path / "model.safetensors")
        bundle, _ = imported(tmp_path / "model.safetensors")
        assert same(bundle, network(given))


def test_a_hugging_face_folder(tmp_path: Path, imported: Import) -> None:
    """config.json beside the weights is read for what the weights do not say."""
    network = example()
    network.main[-1] = nn.Sigmoid()
    folder = tmp_path / "dcgan-anime"
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text('{"nz": 12, "image_size": 32, "final_activation": "sigmoid"}')
    bundle, facts = imported(folder)
    assert bundle.name == "dcgan-anime"
    assert facts["range"].startswith("0..1")
    assert same(bundle, network(latents(2)[:, :, None, None]) * 2 - 1)


@pytest.mark.parametrize("kind", ["weight", "spectral"])
def test_weight_and_spectral_norm_are_worked_in(tmp_path: Path, imported: Import, kind: str) -> None:
    """Both the old parametrisation and the new one."""
    for modern in (False, True):
        network = example()
        old = nn.utils.weight_norm if kind == "weight" else nn.utils.spectral_norm
        new = nn.utils.parametrizations.weight_norm if kind == "weight" else nn.utils.parametrizations.spectral_norm
        for layer in (network.main[3], network.main[6]):
            (new if modern else old)(layer)
        for _ in range(5):
            network.train()(latents(8)[:, :, None, None])
        torch.save(network.eval().state_dict(), tmp_path / "normed.pth")
        bundle, _ = imported(tmp_path / "normed.pth")
        assert same(bundle, network(latents(2)[:, :, None, None]))


def test_the_size_that_the_user_says_decides(tmp_path: Path, imported: Import) -> None:
    """A last kernel of 1 with padding 2 makes 28 pixels, which nothing in the weights tells."""
    network = example(last_kernel=(1, 1, 2), channels=1)
    torch.save(network.state_dict(), tmp_path / "mnist.pth")
    bundle, _ = imported(tmp_path / "mnist.pth", size="12")
    assert same(bundle, network(latents(2)[:, :, None, None]))
    with pytest.raises(ImportRefusedError, match="57x57"):
        imported(tmp_path / "mnist.pth", size="57")


def test_activations_are_assumed_and_can_be_corrected(tmp_path: Path, imported: Import) -> None:
    network = example()
    for place in (2, 5, 8):
        network.main[place] = nn.LeakyReLU(0.1)
    torch.save(network.state_dict(), tmp_path / "leaky.pth")
    assert not same(imported(tmp_path / "leaky.pth")[0], network(latents(2)[:, :, None, None]))
    bundle, facts = imported(tmp_path / "leaky.pth", activation="leaky:0.1")
    assert facts["activations"] == "leaky 0.1, tanh last (said)"
    assert same(bundle, network(latents(2)[:, :, None, None]))


def test_another_family_is_refused_by_the_name_of_a_layer(tmp_path: Path, imported: Import) -> None:
    """StyleGAN's modulated convolutions are no layers of this family; the sentence says what to do."""
    torch.save(
        {"g_ema": {"style.1.weight": torch.zeros(8, 8), "conv1.conv.weight": torch.zeros(1, 8, 8, 3, 3)}},
        tmp_path / "s.pt",
    )
    with pytest.raises(
        ImportRefusedError, match=r"'conv1.conv.weight' belongs to no layer.*export the generator to ONNX"
    ):
        imported(tmp_path / "s.pt")


def settled(layers: list[nn.Module], size: int = NZ, flat: bool = False) -> nn.Sequential:
    """A network whose norms have seen a few latents, as `main.N`."""
    network = nn.Sequential(OrderedDict(main=nn.Sequential(*layers)))
    for _ in range(3):
        network.train()(latents(16, size) if flat else latents(16, size)[:, :, None, None])
    return network.eval()


def deconvolutions(
    norm: Callable[[int], nn.Module], first: tuple[int, int] = (4, 4), taken: int = NZ
) -> list[nn.Module]:
    layers = [nn.ConvTranspose2d(taken, 16, first, 1, 0), norm(16), nn.ReLU()]
    return [
        *layers,
        nn.ConvTranspose2d(16, 8, 4, 2, 1),
        norm(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Tanh(),
    ]


def test_kernels_that_are_not_square(tmp_path: Path, imported: Import) -> None:
    network = settled(deconvolutions(nn.BatchNorm2d, (3, 4)))
    torch.save(network.state_dict(), tmp_path / "wide picture.pth")
    bundle, _ = imported(tmp_path / "wide picture.pth")
    assert (bundle.name, bundle.manifest.image.height, bundle.manifest.image.width) == ("wide-picture", 12, 16)
    assert same(bundle, network(latents(3)[:, :, None, None]))


def test_a_linear_layer_unflattened_before_its_norm(tmp_path: Path, imported: Import) -> None:
    """The reshape between them is no activation; a first picture that is no square needs the size."""
    for height, width in ((4, 4), (4, 6)):
        first = [
            nn.Linear(NZ, 16 * height * width),
            nn.Unflatten(1, (16, height, width)),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        ]
        rest = deconvolutions(nn.BatchNorm2d)[3:]
        network = settled([*first, *rest], flat=True)
        torch.save(network.state_dict(), tmp_path / "g.pth")
        if height != width:
            with pytest.raises(ImportRefusedError, match=r"no square picture of 16 channels; say the size.*--size"):
                imported(tmp_path / "g.pth")
        bundle, _ = imported(tmp_path / "g.pth", **({} if height == width else {"size": "16x24"}))
        assert same(bundle, network(latents(3)))


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d, lambda channels: nn.GroupNorm(2, channels)])
@pytest.mark.parametrize("affine", [True, False])
def test_norms_that_weights_do_not_tell_are_refused(
    tmp_path: Path, imported: Import, norm: Callable[[int], nn.Module], affine: bool
) -> None:
    """An InstanceNorm without weights leaves nothing but a gap in the numbering; it must not be passed over."""
    if affine and norm is nn.InstanceNorm2d:
        norm = partial(nn.InstanceNorm2d, affine=True)
    torch.save(settled(deconvolutions(norm)).state_dict(), tmp_path / "g.pth")
    with pytest.raises(ImportRefusedError, match=r"InstanceNorm.*export the generator to ONNX"):
        imported(tmp_path / "g.pth")


class Declared(nn.Module):
    """Layers by name, all norms declared after them."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv1 = nn.ConvTranspose2d(NZ, 16, 4, 1, 0, bias=False)
        self.deconv2 = nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False)
        self.deconv3 = nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(16), nn.BatchNorm2d(8)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.deconv1(z[:, :, None, None])))
        return torch.tanh(self.deconv3(torch.relu(self.bn2(self.deconv2(x)))))


def test_norms_declared_last_or_sorted_first(tmp_path: Path, imported: Import) -> None:
    """safetensors sorts bn1 before deconv1; a norm belongs to the layer whose channels it has."""
    network = Declared()
    trained(network, network)
    torch.save(network.state_dict(), tmp_path / "g.pth")
    save_file(network.state_dict(), tmp_path / "g.safetensors")
    for file in ("g.pth", "g.safetensors"):
        bundle, _ = imported(tmp_path / file)
        assert same(bundle, network(latents(3)))


@pytest.mark.parametrize("join", [None, "before"])
def test_a_conditional_dcgan_puts_the_label_beside_the_latent(
    tmp_path: Path, imported: Import, join: str | None
) -> None:
    """After it unless said otherwise: weights do not tell, the table of what was understood does."""
    main, table = settled(deconvolutions(nn.BatchNorm2d, taken=NZ + 4), NZ + 4), nn.Embedding(CLASSES, 4)
    torch.save({"embed.weight": table.weight.detach(), **main.state_dict()}, tmp_path / "c.pth")
    bundle, facts = imported(tmp_path / "c.pth", **({"join": join} if join else {}))
    assert facts["label joins"].startswith(f"embedding of {CLASSES} classes, {join or 'after'} the latent")
    z, row = latents(3), table(torch.full((3,), 2))
    both = torch.cat([row, z] if join else [z, row], 1)
    assert same(bundle, main(both[:, :, None, None]), label=2)
