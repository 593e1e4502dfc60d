"""Looks at a foreign file before anything opens it: size, truncated archives, zip bombs, pickles that want code.

Nothing here decodes an array or runs anything; a pickle is read as a list of instructions.
"""

import contextlib
import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from models.bundle import MAX_FILE_BYTES
from models.errors import ImportRefusedError

MAX_ENTRIES = 20_000
MAX_RATIO = 100
"""Largest unpacked size of an archive's entry over its packed one; weights hardly shrink."""
MAX_PICKLE_BYTES = 32 << 20
SAFE_GLOBALS = ("torch._utils _rebuild_", "torch._tensor _rebuild", "collections OrderedDict")
SAFE_EXACT = frozenset(
    {
        "torch.storage TypedStorage",
        "torch.storage UntypedStorage",
        "torch.serialization _get_layout",
        "torch Size",
        "torch device",
        "torch dtype",
        "torch.nn.parameter Parameter",
        "torch.nn.parameter UninitializedParameter",
        "argparse Namespace",
        "collections Counter",
        "collections defaultdict",
        "_codecs encode",
        "numpy.core.multiarray scalar",
        "numpy._core.multiarray scalar",
        "numpy.core.multiarray _reconstruct",
        "numpy._core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
        "pathlib PosixPath",
        "pathlib WindowsPath",
    }
)
CONTAINERS = frozenset(("bool", "bytearray", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"))


def check_size(path: Path) -> None:
    """Raises ImportRefusedError for an empty file or one over the limit of a bundle's file."""
    size = path.stat().st_size
    if size == 0:
        raise ImportRefusedError(f"{path.name} is empty")
    if size > MAX_FILE_BYTES:
        raise ImportRefusedError(f"{path.name} is larger than {MAX_FILE_BYTES >> 30} GiB")


def check_archive(path: Path) -> list[str]:
    """The names in a zip file. Raises ImportRefusedError when it is damaged or would unpack to far more than it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise ImportRefusedError(f"{path.name} is a damaged or truncated zip archive; copy it again") from None
    if len(entries) > MAX_ENTRIES:
        raise ImportRefusedError(f"{path.name} holds {len(entries)} files; the limit is {MAX_ENTRIES}")
    for entry in entries:
        _check_entry(path, entry)
    if sum(entry.file_size for entry in entries) > MAX_FILE_BYTES:
        raise ImportRefusedError(f"{path.name} would unpack to more than {MAX_FILE_BYTES >> 30} GiB")
    return [entry.filename for entry in entries]


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    if entry.filename.startswith(("/", "\\")) or ".." in Path(entry.filename).parts:
        raise ImportRefusedError(f"{path.name} holds a name that leaves its folder: {entry.filename[:80]!r}")
    if entry.file_size > MAX_RATIO * max(1, entry.compress_size) and entry.file_size > 1 << 20:
        raise ImportRefusedError(
            f"{path.name} is a zip bomb: {entry.filename[:80]!r} unpacks to {entry.file_size:,} bytes "
            f"from {entry.compress_size:,}"
        )


def check_pickle(path: Path, names: list[str]) -> None:
    """Refuse a checkpoint whose pickle asks for anything but tensors and plain containers, saying what it asked for.

    `names` are the entries of its zip archive; empty for the format PyTorch wrote before 1.6. Raises ImportRefusedError.
    """
    try:
        wanted = sorted({name for name in _globals_of(path, names) if not is_safe(name)})
    except (ValueError, IndexError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ImportRefusedError(f"{path.name} is no readable pickle, or is truncated: {error}") from None
    if wanted:
        shown = ", ".join(name.replace(" ", ".") for name in wanted[:3])
        raise ImportRefusedError(
            f"{path.name} needs code to be opened ({shown}), and opening it would run that code; save its weights alone "
            "with torch.save(generator.state_dict(), 'weights.pth') and import that file, or name the class that built it "
            "with --class my_module:Generator --init nz=100"
        )


def is_safe(name: str) -> bool:
    """Whether `module attribute` is a tensor's part or a plain container, which weights may name."""
    if name in SAFE_EXACT or name.startswith(SAFE_GLOBALS):
        return True
    module, _, attribute = name.partition(" ")  # torch.FloatStorage, torch.float32: types of tensors
    if module in ("builtins", "__builtin__"):
        return attribute in CONTAINERS
    return module in ("torch", "torch.cuda") and (attribute.endswith("Storage") or attribute in DTYPES)


DTYPES = frozenset(("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"))


def pickled_globals(path: Path) -> list[str]:
    """`module attribute` of everything a checkpoint's pickle names."""
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    return sorted(set(_globals_of(path, names)))


def _globals_of(path: Path, names: list[str]) -> Iterator[str]:
    if not names:
        with path.open("rb") as stream:
            yield from _named(stream)
            with contextlib.suppress(ValueError):  # a plain pickle ends here
                # after the magic number: protocol, system facts, the object itself; then raw numbers
                for _ in range(3):
                    yield from _named(stream)
        return
    pickles = [name for name in names if name.endswith(".pkl")]
    if not pickles:
        raise ValueError("the archive holds no data.pkl")
    with zipfile.ZipFile(path) as archive:
        for name in pickles:
            if archive.getinfo(name).file_size > MAX_PICKLE_BYTES:
                raise ValueError(f"{name} is larger than {MAX_PICKLE_BYTES >> 20} MiB")
            yield from _named(io.BytesIO(archive.read(name)))


def _named(stream: IO[bytes]) -> Iterator[str]:
    """What one pickle names. A name made of strings that cannot be followed counts as unsafe."""
    texts: list[str] = []
    memo: dict[int, str] = {}
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif code.name == "STACK_GLOBAL":
            yield " ".join(texts[-2:]) if len(texts) > 1 else "unknown code"
        elif code.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif code.name in ("BINGET", "LONG_BINGET"):
            texts.append(memo.get(argument or 0, "unknown"))
        elif isinstance(argument, str):
            texts.append(argument)
