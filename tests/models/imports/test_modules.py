"""TorchScript files, and checkpoints of a class that the user names."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.errors import ImportRefusedError
from tests.models.imports.conftest import Import, same
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
