"""A bundle that holds each weight once: the same pictures, a third of the bytes, and nothing read outside listed files."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from models.bundle import Bundle, publish, read_bundle, staging_folder, write_manifest
from models.errors import BundleError, ChecksumError
from models.runtimes import RuntimeKind, open_runtime
from models.runtimes.projection import Search, project
from models.runtimes.trial import level_batches
from tests.bundles import TinyDiscriminator, TinyGenerator, export_graph, fields
from training.cli.models import app
from training.errors import ExportError
from training.export.compact import compact, compare
from training.export.sharing import WEIGHTS


class NormedGenerator(TinyGenerator):
    """With a batch norm whose statistics are not those of a new one; the exporter folds it into the layer before."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(256)
        nn.init.uniform_(norm.get_buffer("running_mean"))
        self.project = nn.Sequential(self.project, norm)


def make_old(folder: Path, name: str, generator: nn.Module) -> Bundle:
    """A bundle of the old form: every weight in ONNX, TorchScript and the safetensors file."""
    torch.manual_seed(3)
    stage, discriminator = staging_folder(folder / name), TinyDiscriminator()
    files = export_graph(generator, {"noise": torch.randn(2, 8)}, ["picture"], stage / "level-0")
    judged = export_graph(
        discriminator, {"image": torch.randn(2, 3, 16, 16)}, ["logits", "features"], stage / "discriminator"
    )
    parts = {"level-0": generator, "discriminator": discriminator}
    save_file(
        {f"{part}.{key}": x.clone() for part, module in parts.items() for key, x in module.state_dict().items()},
        stage / WEIGHTS,
    )
    (stage / "README.md").write_text("# old\n")
    levels = [{"previous": None, "output": [16, 16], "files": files}]
    more = {"discriminator": {"kind": "real", "feature_size": 8, "files": judged}, "scores": [
        {"name": "s", "value": 1.5, "protocol": "p"}]}  # fmt: skip
    write_manifest(stage, fields(name, 16, [{"name": "z", "shape": [8]}], levels, **more))
    return publish(stage, folder / name)


@pytest.fixture(scope="module")
def olds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles of the old form, `plain` and `normed`."""
    folder = tmp_path_factory.mktemp("old")
    torch.manual_seed(1)
    make_old(folder, "plain", TinyGenerator())
    make_old(folder, "normed", NormedGenerator())
    return folder


def own_tensors(graph: Path) -> list[onnx.TensorProto]:
    """Float tensors with axes whose numbers are in the graph."""
    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    return [x for x in tensors if x.data_type == onnx.TensorProto.FLOAT and x.dims and not x.external_data]


Copy = Callable[[str], Path]


@pytest.fixture
def copy(olds: Path, tmp_path: Path) -> Copy:
    """`copy("plain")`: a copy that a test may change."""
    return lambda name: Path(shutil.copytree(olds / name, tmp_path / name))


@pytest.mark.parametrize("name", ["plain", "normed"])
def test_each_weight_is_there_once_and_the_pictures_stay(olds: Path, copy: Copy, name: str) -> None:
    """No TorchScript, graphs of a few kilobytes, the same bytes from every seed; what is not weights stays as it was."""
    old = read_bundle(olds / name)
    done = compact(copy(name))
    manifest = done.bundle.manifest
    assert (done.pixel_steps, done.logits) == (0, 0.0)
    assert done.bytes_after < 0.55 * done.bytes_before
    assert manifest.format_version == 2
    assert {file for file in manifest.files if file.endswith(".ts")} == set()
    inside = [x.name for files in manifest.graphs for x in own_tensors(done.bundle.path(files.onnx_file))]
    assert inside == []
    assert (manifest.scores, manifest.provenance) == (old.manifest.scores, old.manifest.provenance)
    assert done.bundle.read("README.md") == old.read("README.md")
    assert done.bundle.digest != old.digest


@pytest.mark.parametrize("kind", ["torchscript", "openvino"])
def test_every_runtime_reads_the_same_file(copy: Copy, kind: RuntimeKind) -> None:
    """Torch from the graph alone, OpenVINO from the same two files: within 1e-4 of ONNX Runtime."""
    bundle = compact(copy("normed"), "float16").bundle
    reference, other = open_runtime(bundle), open_runtime(bundle, kind)
    inputs = next(level_batches(bundle.manifest, reference, 0))
    assert np.abs(reference.run_level(0, *inputs) - other.run_level(0, *inputs)).max() < 1e-4
    pictures = reference.run_level(0, *inputs)
    assert np.abs(reference.discriminate(pictures).features - other.discriminate(pictures).features).max() < 1e-4


def test_projection_needs_no_torchscript(copy: Copy) -> None:
    """A picture of a compact bundle is found again, by gradients through its ONNX graph."""
    bundle = compact(copy("plain")).bundle
    latent = np.array([[0.3, -1, 0.2, 0.9, -0.4, 1, 0, 0.5]], np.float32)
    picture = open_runtime(bundle).run_level(0, None, latent, None)[0]
    assert project(bundle, picture, Search(restarts=3, steps=60, candidates=64, polish=20)).psnr_db >= 30


def test_compacting_is_deterministic_and_done_once(copy: Copy, tmp_path: Path) -> None:
    """Two copies become the same digest; a compact bundle, or one without weights, is refused and left alone."""
    first = compact(copy("plain")).bundle
    shutil.move(first.folder, tmp_path / "first")
    assert compact(copy("plain")).bundle.digest == first.digest
    with pytest.raises(ExportError, match="already"):
        compact(tmp_path / "plain")
    assert read_bundle(tmp_path / "plain").digest == first.digest


def test_scripts_go_from_an_export_with_fewer_bits(copy: Copy) -> None:
    """`export --weights float16` writes scripts beside rounded weights; compacted, the same pictures without them."""
    rounded = compact(copy("plain"), "float16").bundle
    script = rounded.folder / "level-0.ts"
    script.write_bytes(b"a script")
    level = rounded.manifest.levels[0]
    files = level.files.model_copy(update={"torchscript": script.name})
    levels = (level.model_copy(update={"files": files}), *rounded.manifest.levels[1:])
    write_manifest(rounded.folder, dict(rounded.manifest) | {"levels": levels})
    done = compact(rounded.folder, "float16")
    assert (done.pixel_steps, script.exists()) == (0, False)
    assert done.bundle.manifest.levels == rounded.manifest.levels
    with pytest.raises(ExportError, match="already, with float16"):
        compact(rounded.folder, "float16")


def test_float16_is_stored_and_float32_is_computed(olds: Path, copy: Copy) -> None:
    """Matrices and kernels take half the bytes, vectors stay; the manifest says so; pictures move by at most a step."""
    done = compact(copy("plain"), "float16")
    assert done.bundle.manifest.weights is not None
    assert done.bundle.manifest.weights.precision == "float16"
    stored, raw = load_file(done.bundle.path(WEIGHTS)), load_file(olds / "plain" / WEIGHTS)
    assert {key for key, x in stored.items() if x.dtype == torch.float16} == {k for k, x in raw.items() if x.dim() > 1}
    assert all(torch.equal(stored[key].float(), x.to(stored[key].dtype).float()) for key, x in raw.items())
    assert 0 < done.pixel_steps <= 1
    only_discriminator = compact(copy("normed"), "float16-discriminator")
    assert (only_discriminator.pixel_steps, only_discriminator.logits > 0) == (0, True)


def test_rounding_in_two_steps_is_rounding_at_once(copy: Copy, tmp_path: Path) -> None:
    """A bundle whose discriminator is float16 may follow with its generator: the same weights, the same pictures.

    (Where norms were folded in, the second step rounds what the first had kept: it no longer knows what was folded.)
    """
    at_once = compact(copy("plain"), "float16").bundle
    kept = shutil.copytree(at_once.folder, tmp_path / "at-once")
    shutil.rmtree(at_once.folder)
    compact(copy("plain"), "float16-discriminator")
    later = compact(at_once.folder, "float16")
    assert later.bundle.manifest.weights == read_bundle(kept).manifest.weights
    first, second = load_file(kept / WEIGHTS), load_file(later.bundle.folder / WEIGHTS)
    assert {key: (x.dtype, x.tolist()) for key, x in first.items()} == {
        key: (x.dtype, x.tolist()) for key, x in second.items()
    }
    assert compare(read_bundle(kept), later.bundle).pixel_steps == 0
    with pytest.raises(ExportError, match="already, with float16"):
        compact(later.bundle.folder, "float16-discriminator")


def test_a_norm_is_stored_as_it_is_computed(copy: Copy) -> None:
    """Where the exporter folded a norm, the layer as folded is kept and what it was folded from is not."""
    keys = set(load_file(compact(copy("normed")).bundle.path(WEIGHTS)))
    assert "level-0.project.0.weight" in keys
    assert not [key for key in keys if key.startswith("level-0.project.1.")]


def test_tensors_begin_at_multiples_of_64_bytes(copy: Copy) -> None:
    """Those that fill whole lines; the library reads what we write, and the graph points to the same numbers."""
    bundle = compact(copy("plain")).bundle
    graph = onnx.load(bundle.path("level-0.onnx"), load_external_data=False).graph
    data = bundle.path(WEIGHTS).read_bytes()
    with safe_open(bundle.path(WEIGHTS), "np") as file:
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    outside = [tensor for tensor in graph.initializer if tensor.external_data]
    assert len(outside) == 6
    for tensor in outside:
        place = {entry.key: entry.value for entry in tensor.external_data}
        start, length = int(place["offset"]), int(place["length"])
        assert length % 64 or start % 64 == 0
        assert data[start : start + length] == stored[f"level-0.{tensor.name}"].tobytes()


def test_a_file_cut_short_or_swapped_is_refused(copy: Copy) -> None:
    """Size and checksum of the weights are part of the digest's promise."""
    bundle = compact(copy("plain")).bundle
    weights = bundle.path(WEIGHTS)
    data = weights.read_bytes()
    weights.write_bytes(data[:-4])
    with pytest.raises(ChecksumError, match=rf"{WEIGHTS} has {len(data) - 4} bytes"):
        read_bundle(bundle.folder)
    weights.write_bytes(data[:-4] + b"\0\0\x80?")
    with pytest.raises(ChecksumError, match="sha256"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offset": "999999"}, r"lies at bytes 999999 to \d+ of weights.safetensors, which has"),
        ({"offset": "-64"}, "lies at bytes -64"),
        ({"length": "4"}, "needs 8192 bytes and is given 4"),
        ({"location": "../elsewhere"}, "from '../elsewhere', which the manifest does not list"),
        ({"location": "/etc/hostname"}, "which the manifest does not list"),
        ({"offset": "many"}, "not a readable ONNX file"),
    ],
)
def test_tensors_that_lie_elsewhere_are_refused(copy: Copy, changes: dict[str, str], words: str) -> None:
    """A manifest whose checksums are right does not help a graph that points outside what is listed."""
    bundle = compact(copy("plain")).bundle
    model = onnx.load(bundle.path("level-0.onnx"), load_external_data=False)
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "project.weight"]
    for entry in tensor.external_data:
        entry.value = changes.get(entry.key, entry.value)
    bundle.path("level-0.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=words):
        write_manifest(bundle.folder, dict(bundle.manifest))


@pytest.mark.parametrize("data", [b"", b"no graph at all", b"\x3a\xff\xff\xff\x0f", b"\xff" * 40])
def test_a_graph_that_is_no_graph_is_refused(copy: Copy, data: bytes) -> None:
    """Whatever the bytes are: a sentence that names the file, or, for an empty graph, one from the runtime."""
    bundle = compact(copy("plain")).bundle
    bundle.path("level-0.onnx").write_bytes(data)
    with pytest.raises(Exception, match=r"(?i)onnx"):
        open_runtime(write_manifest(bundle.folder, dict(bundle.manifest))).run_level(
            0, None, np.zeros((1, 8), np.float32), None
        )


def test_torchscript_is_written_on_demand(copy: Copy, tmp_path: Path) -> None:
    """The command writes both graphs, says how near they are, and torch opens them without our code."""
    bundle = compact(copy("plain")).bundle
    out = tmp_path / "scripts"
    answer = CliRunner().invoke(app, ["models", "torchscript", str(bundle.folder), "--out", str(out)])
    assert answer.exit_code == 0, answer.output
    assert sorted(file.name for file in out.iterdir()) == ["discriminator.ts", "level-0.ts"]
    noise = torch.randn(5, 8)
    given = torch.jit.load(str(out / "level-0.ts"))(noise).numpy()
    assert np.abs(given - open_runtime(bundle).run_level(0, None, noise.numpy(), None)).max() < 1e-4


def test_the_command_compacts_in_place(olds: Path, copy: Copy) -> None:
    """It prints what was saved; the manifest says what the new graphs were compared with; a wrong word changes nothing."""
    folder = copy("plain")
    wrong = CliRunner().invoke(app, ["models", "compact", str(folder), "--weights", "int8"])
    assert wrong.exit_code == 1
    answer = CliRunner().invoke(app, ["models", "compact", str(folder), "--weights", "float16-discriminator"])
    assert answer.exit_code == 0, answer.output
    old, new = read_bundle(olds / "plain"), read_bundle(folder)
    assert f"level-0.onnx beside {old.reference}" in {check.file for check in new.manifest.export_checks}
    assert compare(old, new).pixel_steps == 0
