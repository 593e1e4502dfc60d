"""Foreign ONNX graphs become bundles: fixed batches, other layouts, ranges, types, names, labels and constants."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from models.errors import ImportRefusedError
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from tests.models.imports.conftest import Import, pictures, same
from tests.models.imports.generators import CLASSES, NZ, StyleGenerator, example, latents, mlp


class Flat(nn.Module):
    """[n, z] in: the reshape to [n, z, 1, 1] is inside, as many exports have it."""

    def __init__(self, last: nn.Module | None = None, nhwc: bool = False, gain: float = 1, shift: float = 0) -> None:
        super().__init__()
        self.main = example().main
        if last is not None:
            self.main[-1] = last
        self.nhwc, self.gain, self.shift = nhwc, gain, shift

    def forward(self, z: Tensor) -> Tensor:
        picture = self.main(z.view(z.shape[0], -1, 1, 1)) * self.gain + self.shift
        return picture.permute(0, 2, 3, 1) if self.nhwc else picture


def export(module: nn.Module, path: Path, *given: Tensor, **wishes: Any) -> Path:
    """Write an ONNX file as PyTorch's exporter does, with a fixed batch unless `dynamic_axes` says otherwise."""
    torch.onnx.export(module.eval(), given, str(path), dynamo=False, **{"opset_version": 17, **wishes})
    return path


def test_a_batch_of_64_serves_one_and_a_hundred(tmp_path: Path, imported: Import) -> None:
    """The commonest export of all: the batch it was traced with is written into every shape."""
    network = Flat()
    bundle, facts = imported(export(network, tmp_path / "dcgan.onnx", torch.randn(64, NZ)))
    assert facts["batch"] == "fixed at 64; any number now (mended)"
    hundred = pictures(bundle, 100)
    assert np.array_equal(hundred[:1], pictures(bundle, 1))
    assert np.abs(hundred - network(latents(100)).detach().numpy()).max() < 1e-4


@pytest.mark.parametrize("batch", [1, 3])
def test_both_exporters_fixed_batches(tmp_path: Path, imported: Import, batch: int) -> None:
    network = Flat()
    torch.onnx.export(network, (torch.randn(batch, NZ),), str(tmp_path / "d.onnx"), dynamo=True, verbose=False)
    bundle, _ = imported(tmp_path / "d.onnx")
    assert same(bundle, network(latents(5)))


def test_latents_of_four_axes_and_any_names(tmp_path: Path, imported: Import) -> None:
    network = example()
    file = export(
        network,
        tmp_path / "g.onnx",
        torch.randn(1, NZ, 1, 1),
        input_names=["input.1"],
        output_names=["out/37"],
        dynamic_axes={"input.1": {0: "n"}, "out/37": {0: "n"}},
    )
    bundle, facts = imported(file)
    assert facts["latent"] == f"{NZ} numbers (input.1 [n, {NZ}, 1, 1]) (file)"
    assert same(bundle, network(latents(3)[:, :, None, None]))


def test_channels_last(tmp_path: Path, imported: Import) -> None:
    network = Flat(nhwc=True)
    bundle, facts = imported(export(network, tmp_path / "keras.onnx", torch.randn(2, NZ)))
    assert "nhwc" in facts["picture"]
    assert same(bundle, network(latents(3)).permute(0, 3, 1, 2))


class Contrast(nn.Module):
    """Values far enough apart for black and white."""

    def forward(self, values: Tensor) -> Tensor:
        return 60 * values


@pytest.mark.parametrize(
    ("last", "gain", "shift", "low", "high"),
    [
        (nn.Tanh(), 1, 0, -1, 1),
        (nn.Sigmoid(), 1, 0, 0, 1),
        (nn.Tanh(), 0.5, 0.5, 0, 1),
        (nn.Tanh(), 127.5, 127.5, 0, 255),
        (nn.Identity(), 1, 0, -1, 1),
        (nn.Sequential(nn.ReLU(), Contrast(), nn.Tanh()), 1, 0, 0, 1),
        (nn.Sequential(nn.ReLU(), nn.Tanh()), 1, 0, -1, 1),  # all of one grey: nothing speaks against tanh's own range
    ],
)
def test_the_range_is_found_by_running(
    tmp_path: Path, imported: Import, last: nn.Module, gain: float, shift: float, low: float, high: float
) -> None:
    """Whatever values black and white have in the file, pictures are in -1..1 in the bundle."""
    network = Flat(last, gain=gain, shift=shift)
    bundle, facts = imported(export(network, tmp_path / "g.onnx", torch.randn(2, NZ)))
    assert facts["range"].startswith(f"{low}..{high}")
    assert same(bundle, (network(latents(3)) - low) * 2 / (high - low) - 1)


def test_float16(tmp_path: Path, imported: Import) -> None:
    """Half-precision files, inputs and outputs included, are served in float32."""
    network = example()
    file = export(network, tmp_path / "half.onnx", torch.randn(2, NZ, 1, 1))
    onnx.save(_halved(onnx.load(file)), file)
    bundle, facts = imported(file)
    assert "float16" in facts["weights"]
    assert np.abs(pictures(bundle, 2) - network(latents(2)[:, :, None, None]).detach().numpy()).max() < 0.02


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


@pytest.mark.parametrize("opset", [9, 11, 20])
def test_operator_sets_old_and_new(tmp_path: Path, imported: Import, opset: int) -> None:
    network = Flat()
    bundle, _ = imported(export(network, tmp_path / "g.onnx", torch.randn(4, NZ), opset_version=opset))
    assert same(bundle, network(latents(3)))


def test_an_operator_set_that_is_too_old_is_refused(tmp_path: Path, imported: Import) -> None:
    file = export(Flat(), tmp_path / "g.onnx", torch.randn(4, NZ), opset_version=9)
    model = onnx.load(file)
    model.opset_import[0].version = 7
    onnx.save(model, file)
    with pytest.raises(ImportRefusedError, match="operator set 7; the oldest read is 9"):
        imported(file)


def test_weights_beside_the_graph(tmp_path: Path, imported: Import) -> None:
    network = Flat()
    file = export(network, tmp_path / "plain.onnx", torch.randn(2, NZ))
    onnx.save(onnx.load(file), tmp_path / "g.onnx", save_as_external_data=True, location="g.data", size_threshold=0)
    bundle, _ = imported(tmp_path / "g.onnx")
    assert sorted(bundle.manifest.files) == ["README.md", "level-0.onnx", "preview.png"]
    assert same(bundle, network(latents(2)))


class Styled(nn.Module):
    """A stand-in for StyleGAN's exports: a latent, a truncation strength, and a mode that is an integer."""

    def __init__(self) -> None:
        super().__init__()
        self.main = example().main

    def forward(self, z: Tensor, truncation_psi: Tensor, noise_mode: Tensor) -> Tensor:
        return self.main((z * truncation_psi)[:, :, None, None]) + 0.0 * noise_mode


def test_constants_beside_the_latent(tmp_path: Path, imported: Import) -> None:
    """truncation_psi is 1 unless said, noise_mode 0; both are noted."""
    network = Styled()
    names = ["z", "truncation_psi", "noise_mode"]
    given = (torch.randn(1, NZ), torch.tensor(0.5), torch.tensor(0))
    file = export(network, tmp_path / "style.onnx", *given, input_names=names, output_names=["img"])
    bundle, facts = imported(file)
    assert facts["input truncation_psi"] == "constant 1.0 (assumed)"
    assert same(bundle, network(latents(2), torch.tensor(1.0), torch.tensor(0)))
    bundle, facts = imported(file, input="truncation_psi=0.5", name="half")
    assert facts["input truncation_psi"] == "constant 0.5 (said)"
    assert same(bundle, network(latents(2), torch.tensor(0.5), torch.tensor(0)))


class OneHot(nn.Module):
    """A label as one-hot rows."""

    def __init__(self) -> None:
        super().__init__()
        self.main = mlp(CLASSES)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        return self.main.model(torch.cat([labels @ self.main.label_emb.weight, noise], 1)).view(-1, 1, 14, 14)


@pytest.mark.parametrize("kind", ["index", "one-hot"])
def test_labels_as_an_index_or_as_one_hot_rows(tmp_path: Path, imported: Import, kind: str) -> None:
    """How many classes there are is read from the embedding, or from the width of the rows."""
    network = mlp(CLASSES) if kind == "index" else OneHot()
    given = torch.arange(3) if kind == "index" else torch.eye(CLASSES)[:3]
    names = ["noise", "labels"]
    axes = {name: {0: "n"} for name in names}
    file = export(network, tmp_path / "c.onnx", torch.randn(3, NZ), given, input_names=names, dynamic_axes=axes)
    bundle, facts = imported(file, labels="a,b,c,d,e")
    assert facts["label"].startswith(f"{CLASSES} classes as {kind}")
    label = torch.full((3,), 2) if kind == "index" else torch.eye(CLASSES)[[2, 2, 2]]
    assert same(bundle, network(latents(3), label), label=2)


@pytest.mark.parametrize(("shape", "names"), [((3, 1), ["noise", "class"]), ((1, 1), ["a", "b"]), ((1,), ["a", "b"])])
def test_an_index_that_is_looked_up_is_a_label_whatever_its_name(
    tmp_path: Path, imported: Import, shape: tuple[int, ...], names: list[str]
) -> None:
    """As a column, and in an export of one picture, where it could be taken for a constant."""

    class Column(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = mlp(CLASSES)

        def forward(self, z: Tensor, label: Tensor) -> Tensor:
            return self.main(z, label.reshape(-1) if label.dim() == 1 else label[:, 0])

    network = Column()
    given = (torch.randn(shape[0], NZ), torch.zeros(shape, dtype=torch.int64))
    bundle, _ = imported(export(network, tmp_path / "c.onnx", *given, input_names=names))
    assert bundle.manifest.labels == tuple("01234")
    assert same(bundle, network(latents(3), torch.full((3,), 2)), label=2)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path, imported: Import) -> None:
    names = ["noise", "labels"]
    file = export(mlp(CLASSES), tmp_path / "c.onnx", torch.randn(3, NZ), torch.arange(3), input_names=names)
    with pytest.raises(ImportRefusedError, match="2 labels were named but the graph takes 5"):
        imported(file, labels="a,b")


def test_flat_pictures_get_a_shape(tmp_path: Path, imported: Import) -> None:
    """An MLP that gives 196 numbers is 14x14 grey, or what the user says."""
    network = mlp()
    file = export(network.model, tmp_path / "mlp.onnx", torch.randn(2, NZ))
    assert same(imported(file)[0], network(latents(2)))
    bundle, _ = imported(file, size="7x28", name="wide")
    assert (bundle.manifest.image.height, bundle.manifest.image.width) == (7, 28)


def test_an_open_latent_size_is_asked_for(tmp_path: Path, imported: Import) -> None:
    file = export(Flat(), tmp_path / "g.onnx", torch.randn(2, NZ), dynamic_axes={"z": [0, 1]}, input_names=["z"])
    with pytest.raises(ImportRefusedError, match="leaves the size of 'z' open; say it with --latent"):
        imported(file)
    assert imported(file, latent=NZ)[0].manifest.latent.size == NZ


def test_training_mode_is_mended(tmp_path: Path, imported: Import) -> None:
    """Dropout and BatchNorm left on: the picture is the one that eval mode gives."""
    network = Flat()
    network.main.insert(3, nn.Dropout(0.5))
    torch.onnx.export(
        network.train(),
        (torch.randn(4, NZ),),
        str(tmp_path / "t.onnx"),
        dynamo=False,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )
    bundle, facts = imported(tmp_path / "t.onnx")
    assert facts["dropout"] == "1 left on; switched off (mended)"
    assert facts["BatchNorm"].startswith("3 in training mode")
    assert same(bundle, network.eval()(latents(3)))


def test_batchnorm_that_never_learned_is_refused(tmp_path: Path, imported: Import) -> None:
    network = nn.Sequential(nn.Linear(NZ, 48), nn.BatchNorm1d(48, momentum=0.0), nn.Unflatten(1, (3, 4, 4)), nn.Tanh())
    torch.onnx.export(
        network.train(),
        (torch.randn(4, NZ),),
        str(tmp_path / "t.onnx"),
        dynamo=False,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )
    with pytest.raises(ImportRefusedError, match="statistics were never set"):
        imported(tmp_path / "t.onnx")


def test_statistics_of_the_batch_are_refused(tmp_path: Path, imported: Import) -> None:
    """A picture that depends on who else is in the batch would break every promise of the server."""

    class Minibatch(Flat):
        def forward(self, z: Tensor) -> Tensor:
            return torch.tanh(5 * super().forward(z - z.mean(0, keepdim=True)))

    file = export(Minibatch(), tmp_path / "m.onnx", torch.randn(4, NZ), dynamic_axes={"z": [0]}, input_names=["z"])
    with pytest.raises(ImportRefusedError, match="depends on its company"):
        imported(file)


def test_noise_inside_the_graph_becomes_one_drawing(tmp_path: Path, imported: Import) -> None:
    class Noisy(Flat):
        def forward(self, z: Tensor) -> Tensor:
            picture = super().forward(z)
            return picture + 0.2 * torch.randn_like(picture[:, :1])

    file = export(Noisy(), tmp_path / "n.onnx", torch.randn(2, NZ), dynamic_axes={"z": [0]}, input_names=["z"])
    bundle, facts = imported(file)
    assert facts["noise"] == "1 drawn anew at every call; one fixed drawing now (mended)"
    assert np.array_equal(pictures(bundle, 3)[:2], pictures(bundle, 2))


def test_what_is_written_is_a_bundle_like_any_other(tmp_path: Path, imported: Import) -> None:
    """A card that says where it is from, a preview, and a digest; no path of this machine in it."""
    bundle, _ = imported(export(Flat(), tmp_path / "my generator.onnx", torch.randn(2, NZ)), licence="CC0-1.0")
    assert bundle.name == "my-generator"
    card = (bundle.folder / "README.md").read_text()
    assert "my generator.onnx" in card
    assert "| latent law | standard normal | assumed |" in card
    rows = [line.split("|") for line in card.splitlines() if line.startswith("| ")]
    assert all(cells[-2].strip() for cells in rows), "how each is known"
    assert "CC0-1.0" in card
    assert str(tmp_path) not in card + (bundle.folder / "manifest.json").read_text()
    assert str(tmp_path).encode() not in (bundle.folder / "level-0.onnx").read_bytes()


def test_several_random_inputs_make_one_latent(tmp_path: Path, imported: Import) -> None:
    """What the user calls latents is drawn together and cut inside the graph."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = example().main

        def forward(self, z: Tensor, style: Tensor) -> Tensor:
            return self.main(torch.cat([z, style], 1)[:, :, None, None])

    network = Two()
    file = export(network, tmp_path / "t.onnx", torch.randn(2, 8), torch.randn(2, 4), input_names=["z", "style"])
    bundle, _ = imported(file, input="z=latent,style=latent")
    rows = torch.from_numpy(draw(bundle.manifest.latent, range(3)))
    assert same(bundle, network(rows[:, :8], rows[:, 8:]))


def test_a_learned_constant_written_out_for_every_picture(tmp_path: Path, imported: Import) -> None:
    """StyleGAN begins with a learned constant; exports repeat it as often as the batch they were traced with."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = nn.Parameter(torch.randn(1, 6, 4, 4))
            self.style = nn.Linear(NZ, 6)
            self.up = nn.ConvTranspose2d(6, 3, 4, 2, 1)

        def forward(self, z: Tensor) -> Tensor:
            x = self.start.repeat(z.shape[0], 1, 1, 1) * self.style(z)[:, :, None, None]
            return torch.tanh(self.up(x))

    network = Constant()
    for batch in (1, 4):
        bundle, _ = imported(export(network, tmp_path / f"c{batch}.onnx", torch.randn(batch, NZ)))
        assert same(bundle, network(latents(5)))


def test_no_latent_is_a_sentence(tmp_path: Path, imported: Import) -> None:
    """A classifier is no generator."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "c.onnx")
    with pytest.raises(ImportRefusedError, match=r"no input can be the latent.*image \[1, 3, 8, 8\].*--kind upsample"):
        imported(tmp_path / "c.onnx")


def test_the_bundle_runs_on_every_runtime_there_is(tmp_path: Path, imported: Import) -> None:
    pytest.importorskip("openvino")
    bundle, _ = imported(export(Flat(), tmp_path / "g.onnx", torch.randn(64, NZ)))
    rows = draw(bundle.manifest.latent, range(3))
    assert np.abs(open_runtime(bundle, "openvino").run_level(0, None, rows, None) - pictures(bundle, 3)).max() < 1e-2


@pytest.mark.parametrize("batch", [1, 4])
def test_a_stylegan(tmp_path: Path, imported: Import, batch: int) -> None:
    """Its grouped convolutions hold the batch it was exported with; then pictures are computed one by one."""
    network = StyleGenerator()
    given = (torch.randn(batch, NZ), torch.tensor(1.0))
    file = export(network, tmp_path / "style.onnx", *given, input_names=["z", "truncation_psi"], output_names=["img"])
    bundle, facts = imported(file, input="truncation_psi=0.7")
    assert facts["input truncation_psi"] == "constant 0.7 (said)"
    assert "one by one" in facts["batch"]
    hundred = pictures(bundle, 100)
    assert np.array_equal(hundred[:1], pictures(bundle, 1))
    low, high = (float(part) for part in facts["range"].split(" ")[0].split(".."))
    wanted = (network(latents(5), torch.tensor(0.7)).detach() - low) * 2 / (high - low) - 1
    assert np.abs(hundred[:5] - wanted.numpy()).max() < 1e-4
