"""What kind of file it is, told from its bytes and not from its name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import BundleError, ImportRefusedError
from models.imports.checkpoints.archive import check_script_numbers
from models.imports.guards import check_archive, check_pickle, check_size
from models.runtimes.script_file import check_script

Kind = Literal["onnx", "torchscript", "checkpoint", "safetensors"]
WEIGHTS = ("*.onnx", "*.safetensors", "*.pt", "*.pth", "*.bin", "*.ckpt", "*.ts")
KERAS = (
    "{name} is a Keras model: convert it with `python -m tf2onnx.convert --keras {name} --output generator.onnx` "
    "(pip install tf2onnx; it needs your TensorFlow) and import generator.onnx"
)


@dataclass(frozen=True)
class Source:
    """A file to import and the `config.json` beside it, if it lies in a folder with one."""

    path: Path
    kind: Kind
    config: Path | None = None


def recognise(path: Path, *, trusted_class: bool = False) -> Source:
    """The kind of a file, or of the weights in a folder with a `config.json`.

    `trusted_class`: the user named the class of a whole pickled model, so its pickle is not refused here.
    Raises ImportRefusedError with what to do for everything that is no generator's file.
    """
    if path.is_dir():
        return _in_folder(path, trusted_class)
    if not path.is_file():
        raise ImportRefusedError(f"{path.name} is not there")
    check_size(path)
    return Source(path, _kind_of(path, trusted_class))


def _in_folder(folder: Path, trusted_class: bool) -> Source:
    """Safetensors before pickles, as Hugging Face libraries prefer them."""
    found = [path for pattern in WEIGHTS for path in sorted(folder.glob(pattern)) if path.is_file()]
    if not found:
        raise ImportRefusedError(f"the folder {folder.name} holds no weights ({', '.join(WEIGHTS)})")
    config = folder / "config.json"
    source = recognise(found[0], trusted_class=trusted_class)
    return Source(source.path, source.kind, config if config.is_file() else None)


def _kind_of(path: Path, trusted_class: bool) -> Kind:
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        raise ImportRefusedError(KERAS.format(name=path.name))
    if head.startswith(b"PK"):
        return _kind_of_zip(path, trusted_class)
    if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        if not trusted_class:
            check_pickle(path, [])
        return "checkpoint"
    if len(head) > 8 and head[8:9] == b"{":
        return "safetensors"
    if head[:1] in b"\x08\x0a\x12\x3a" or path.suffix == ".onnx":  # the first field of a protobuf ModelProto
        return "onnx"
    raise ImportRefusedError(
        f"{path.name} is neither ONNX, TorchScript, a PyTorch checkpoint nor safetensors; it begins with {head[:8]!r}"
    )


def _kind_of_zip(path: Path, trusted_class: bool) -> Kind:
    names = check_archive(path)
    last = {name.rsplit("/", 1)[-1] for name in names}
    if "model.weights.h5" in last or ("config.json" in last and "data.pkl" not in last):
        raise ImportRefusedError(KERAS.format(name=path.name))
    if "constants.pkl" in last:
        _check_script(path)
        return "torchscript"
    if "data.pkl" not in last:
        raise ImportRefusedError(f"{path.name} is a zip archive but holds no PyTorch weights (no data.pkl)")
    if not trusted_class:
        check_pickle(path, names)
    return "checkpoint"


def _check_script(path: Path) -> None:
    try:
        check_script(path, path.name)
    except BundleError as error:
        raise ImportRefusedError(str(error)) from None
    check_script_numbers(path)
