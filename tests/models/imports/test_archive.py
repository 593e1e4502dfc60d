"""PyTorch's files are read without PyTorch: every type and view it writes, and nothing that is no tensor."""

import subprocess
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import ImportRefusedError
from models.imports.checkpoints.archive import read_weights
from tests.models.imports.generators import example

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])


@FORMS
@pytest.mark.parametrize(
    "kind", ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
def test_types(tmp_path: Path, kind: str, zipped: bool) -> None:
    """Floats of any width become float32; whole numbers stay what they are."""
    tensor = (torch.arange(12).reshape(3, 4) % 7).to(getattr(torch, kind))
    torch.save({"w": tensor, "one": tensor[1, 1]}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    read = read_weights(tmp_path / "w.pth")
    assert read["w"].tolist() == tensor.tolist()
    assert read["one"].shape == ()
    assert read["w"].dtype == (np.float32 if tensor.is_floating_point() else np.dtype(kind))


@FORMS
def test_views_share_what_is_stored(tmp_path: Path, zipped: bool) -> None:
    """Transposed, cut out of a larger tensor, empty, and two views of one storage."""
    whole = torch.randn(6, 5)
    tensors = {"whole": whole, "turned": whole.T, "part": whole[2:4, 1:3], "empty": whole[:0]}
    torch.save(tensors, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    read = read_weights(tmp_path / "w.pth")
    for name, tensor in tensors.items():
        assert np.array_equal(read[name], tensor.numpy())


def test_parameters_and_what_training_keeps_beside_them(tmp_path: Path) -> None:
    """Optimisers, counters and settings are passed over; weights are found wherever they are nested."""
    network = example()
    by_class: defaultdict[str, Any] = defaultdict(list, {"a": torch.ones(2)})
    content = {
        "net": OrderedDict((name, torch.nn.Parameter(one)) for name, one in network.named_parameters()),
        "optimizer": torch.optim.Adam(network.parameters()).state_dict(),
        "by class": by_class,
        "epoch": 3,
        "losses": [0.1, np.float64(0.2), None],
        "shape": torch.Size([3, 4]),
    }
    torch.save(content, tmp_path / "c.pth")
    read = read_weights(tmp_path / "c.pth")
    assert {name: value.shape for name, value in read["net"].items()} == {
        name: tuple(value.shape) for name, value in network.named_parameters()
    }
    assert read["by class"]["a"].tolist() == [1, 1]
    assert "epoch" not in read


@FORMS
def test_a_flipped_bit_or_a_missing_end(tmp_path: Path, zipped: bool) -> None:
    file = tmp_path / "w.pth"
    torch.save({"w": torch.ones(400)}, file, _use_new_zipfile_serialization=zipped)
    data = bytearray(file.read_bytes())
    place = data.rfind(torch.ones(400).numpy().tobytes())
    if zipped:
        data[place + 100] ^= 1
    file.write_bytes(data if zipped else data[: place + 100])
    with pytest.raises(ImportRefusedError, match=r"w\.pth is damaged or truncated"):
        read_weights(file)


def test_a_list_of_tensors_is_no_generator(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "w.pth")
    with pytest.raises(ImportRefusedError, match="no dictionary of weights"):
        read_weights(tmp_path / "w.pth")


def test_a_checkpoint_is_imported_where_there_is_no_pytorch(tmp_path: Path) -> None:
    """A server without the train extra serves netG.pth."""
    torch.save(example().state_dict(), tmp_path / "netG.pth")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from models.imports.build import import_file\n"
        "from models.imports.options import Options\n"
        "from models.imports.report import Report\n"
        "print(import_file(Path(sys.argv[1]), Path(sys.argv[2]), Options(), Report()).name)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "netG.pth"), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "netG"
