"""TorchScript files, and checkpoints of a class that the user names."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.errors import BundleError, ImportRefusedError, RuntimeUnavailableError
from models.runtimes import open_runtime
from tests.models.imports.conftest import Import, pictures, same
from tests.models.imports.generators import CLASSES, NZ, example, latents, mlp, upsampling


@pytest.mark.parametrize("how", ["traced", "scripted"])
def test_torchscript(tmp_path: Path, imported: Import, how: str) -> None:
    """It is exported to ONNX and compared with the original; what it takes is found by trying."""
    network = example()
    given = torch.randn(2, NZ, 1, 1)
    script = torch.jit.trace(network, given) if how == "traced" else torch.jit.script(network)
    script.save(str(tmp_path / "g.pt"))
    bundle, facts = imported(tmp_path / "g.pt")
    assert facts["kind"] == "torchscript (file)"
    assert facts["parity with the file"].endswith("over 64 latents (measured)")
    assert same(bundle, network(latents(3)[:, :, None, None]))


def test_torchscript_with_a_label(tmp_path: Path, imported: Import) -> None:
    network = mlp(CLASSES)
    torch.jit.trace(network, (torch.randn(2, NZ), torch.tensor([0, 1]))).save(str(tmp_path / "c.ts"))
    bundle, facts = imported(tmp_path / "c.ts", labels="a,b,c,d,e")
    assert facts["label"].startswith("5 classes as index")
    assert same(bundle, network(latents(3), torch.full((3,), 3)), label=3)


def test_torchscript_that_reaches_for_files_is_refused(tmp_path: Path, imported: Import) -> None:
    """TorchScript has an operator that opens files."""

    class Reader(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z + torch.from_file("/etc/passwd", False, 4, dtype=torch.uint8).float().sum()

    torch.jit.script(Reader()).save(str(tmp_path / "r.pt"))
    with pytest.raises(ImportRefusedError, match=r"torch\.from_file.*reaches outside"):
        imported(tmp_path / "r.pt")


@pytest.mark.parametrize("whole", [False, True])
def test_a_class_that_the_user_names(
    tmp_path: Path, imported: Import, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Any network can be imported by its own class, from its weights or from the whole pickled model."""
    (tmp_path / "my_generator.py").write_text(
        "import torch\n"
        "class Generator(torch.nn.Module):\n"
        "    def __init__(self, nz):\n"
        "        super().__init__()\n"
        "        self.up = torch.nn.ConvTranspose2d(nz, 3, 16)\n"
        "        self.norm = torch.nn.InstanceNorm2d(3, affine=True)\n"
        "    def forward(self, z):\n"
        "        return torch.tanh(self.norm(self.up(z)) * 0.3).flip(3)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    from my_generator import Generator  # type: ignore[import-not-found]

    torch.manual_seed(0)
    network = Generator(7).eval()
    torch.save(network if whole else network.state_dict(), tmp_path / "mine.pth")
    bundle, facts = imported(tmp_path / "mine.pth", class_="my_generator:Generator", init="nz=7")
    assert facts["class"] == "my_generator:Generator with {'nz': '7'}; your own code was run (said)"
    assert same(bundle, network(latents(3, 7)[:, :, None, None]))


def test_a_class_that_does_not_fit_is_a_sentence(tmp_path: Path, imported: Import) -> None:
    torch.save(upsampling().state_dict(), tmp_path / "g.pth")
    with pytest.raises(ImportRefusedError, match="the weights do not fit"):
        imported(tmp_path / "g.pth", class_="tests.models.imports.generators:ExampleGenerator")
    with pytest.raises(ImportRefusedError, match="cannot be built; say its arguments with --init"):
        imported(tmp_path / "g.pth", class_="tests.models.imports.generators:MlpGenerator", init="wrong=1")
    with pytest.raises(ImportRefusedError, match="no_such_module"):
        imported(tmp_path / "g.pth", class_="no_such_module:Generator")


class Stepped(nn.Module):
    """Steps until a latent is short enough, each on its own; then an orthogonal frame of it: no ONNX operator does that."""

    def __init__(self) -> None:
        super().__init__()
        self.main = example().main

    def forward(self, z: Tensor) -> Tensor:
        rows: list[Tensor] = []
        for row in z:
            while bool((row * row).sum() > 4.0):
                row = row * 0.8
            frame = torch.linalg.qr(row.view(4, 3))[0]
            rows.append(self.main(frame.reshape(1, -1, 1, 1)))
        return torch.cat(rows)


class SteppedByClass(Stepped):
    """A table of classes, channels last, values of 0..1, and a second output."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(CLASSES, NZ)

    def forward(self, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        rows: list[Tensor] = []
        for row in z * self.table(label):
            while bool((row * row).sum() > 4.0):
                row = row * 0.8
            frame = torch.linalg.qr(row.view(4, 3))[0]
            rows.append(self.main(frame.reshape(1, -1, 1, 1)))
        return torch.cat(rows).permute(0, 2, 3, 1) / 2 + 0.5, z


def test_torchscript_that_cannot_be_exported_is_kept(tmp_path: Path, imported: Import) -> None:
    """The bundle has the script itself, and whatever opens it computes it with PyTorch; proofs are those of every import."""
    network = Stepped().eval()
    torch.jit.script(network).save(str(tmp_path / "stepped.pt"))
    bundle, facts = imported(tmp_path / "stepped.pt")
    assert sorted(bundle.manifest.files) == ["README.md", "level-0.ts", "preview.png"]
    assert bundle.manifest.format_version == 3
    assert facts["graph"].startswith("kept as TorchScript")
    assert "linalg_qr" in facts["graph"]
    assert facts["alone and in company"] == "the same picture (measured)"
    assert facts["parity with the file"].endswith("over 64 latents (measured)")
    assert same(bundle, network(latents(5)))
    assert "kept as TorchScript" in (bundle.folder / "README.md").read_text()
    assert str(tmp_path).encode() not in (bundle.folder / "level-0.ts").read_bytes()


def test_a_kept_script_with_classes_channels_last_and_two_outputs(tmp_path: Path, imported: Import) -> None:
    network = SteppedByClass().eval()
    torch.jit.script(network).save(str(tmp_path / "stepped.pt"))
    bundle, facts = imported(tmp_path / "stepped.pt")
    assert facts["label"].startswith(f"{CLASSES} classes as index")
    assert facts["range"].startswith("0..1")
    wanted = network(latents(3), torch.full((3,), 2))[0].permute(0, 3, 1, 2) * 2 - 1
    assert same(bundle, wanted, label=2)


def test_a_kept_script_without_pytorch_says_what_is_missing(
    tmp_path: Path, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.jit.script(Stepped()).save(str(tmp_path / "stepped.pt"))
    bundle, _ = imported(tmp_path / "stepped.pt")
    monkeypatch.setattr("models.runtimes.has_torch", lambda: False)
    with pytest.raises(RuntimeUnavailableError, match=r"stepped is TorchScript alone.*pip install 'ganymede\[train\]'"):
        open_runtime(bundle)


def test_a_bundle_with_torchscript_that_reaches_for_files_is_not_opened(tmp_path: Path, imported: Import) -> None:
    """A bundle of a stranger is no safer than a file of one."""

    class Reader(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z + torch.from_file("/etc/passwd", False, 4, dtype=torch.uint8).float().sum()

    torch.jit.script(Stepped()).save(str(tmp_path / "stepped.pt"))
    bundle, _ = imported(tmp_path / "stepped.pt")
    torch.jit.script(Reader()).save(str(bundle.folder / "level-0.ts"))
    with pytest.raises(BundleError, match=r"torch\.from_file.*reaches outside"):
        pictures(bundle, 1)


def test_a_script_that_draws_anew_is_refused(tmp_path: Path, imported: Import) -> None:
    class Drawing(Stepped):
        def forward(self, z: Tensor) -> Tensor:
            rows = [torch.linalg.qr(row.view(4, 3))[0].reshape(1, -1, 1, 1) for row in z + torch.randn_like(z)]
            return self.main(torch.cat(rows))

    torch.jit.script(Drawing()).save(str(tmp_path / "d.pt"))
    with pytest.raises(ImportRefusedError, match="the same latent gives different pictures"):
        imported(tmp_path / "d.pt")
