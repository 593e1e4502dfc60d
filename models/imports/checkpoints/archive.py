"""Opens PyTorch's own files without PyTorch: the zip archives it writes since 1.6 and the pickles in a row from before.

Importing PyTorch takes seconds; a damaged or hostile file is told apart before that, and plain weights never need it.
"""

import itertools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ImportRefusedError
from models.imports.checkpoints.pickled import Reader, Storage, Strided

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file from before 1.6."""
DEEPEST, MOST_ENTRIES = 6, 50_000
Numbers = Callable[[Storage], NDArray[Any]]


def read_weights(path: Path) -> dict[str, Any]:
    """Nested dictionaries of arrays, floats as float32; what is no tensor is left out. Nothing in the file is run.

    Raises ImportRefusedError for a file that is damaged, truncated or holds no dictionary.
    """
    with _damage_told(path):
        tree = _from_zip(path) if zipfile.is_zipfile(path) else _from_row(path)
    if not isinstance(tree, dict):
        raise ImportRefusedError(f"{path.name} holds no dictionary of weights")
    return tree


def check_script_numbers(path: Path) -> None:
    """Refuse TorchScript whose numbers are damaged, cut off or NaN. Raises ImportRefusedError."""
    with _damage_told(path), zipfile.ZipFile(path) as archive:
        for name in [name for name in archive.namelist() if name.endswith(("/data.pkl", "/constants.pkl"))]:
            reader = Reader(archive.open(name), strict=False)
            reader.load()
            for storage in reader.storages.values():
                if np.isnan(_stored(archive, name, storage)).any():
                    raise ImportRefusedError(f"{path.name} holds weights that are not finite (NaN)")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (ImportRefusedError, MemoryError):
        raise
    except Exception as error:  # a damaged archive or pickle raises whatever its bytes happen to mean
        reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        raise ImportRefusedError(f"{path.name} is damaged or truncated; copy it again ({reason})") from None


def _from_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
        tree = Reader(archive.open(name)).load()
        return _arrays(tree, cache(lambda storage: _stored(archive, name, storage)))


def _stored(archive: zipfile.ZipFile, pickled: str, storage: Storage) -> NDArray[Any]:
    """The numbers beside a pickle; reading them compares their checksum."""
    folder, stem = pickled.rpartition("/")[0], pickled.rpartition("/")[2].removesuffix(".pkl")
    root = f"{folder}/" if folder else ""
    big = f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big"
    return storage.values(archive.read(f"{root}{stem}/{storage.key}"), ">" if big else "<")


def _from_row(path: Path) -> Any:
    """Magic number, version, facts of the machine, the object, its keys, then the numbers in the order of the keys."""
    with path.open("rb") as stream:
        if Reader(stream).load() != MAGIC:
            raise ValueError("it is a pickle, but PyTorch did not write it")
        Reader(stream).load()
        facts = Reader(stream).load()
        reader = Reader(stream)
        tree, keys = reader.load(), Reader(stream).load()
        found = {key: _next_numbers(stream, reader.storages[key], facts) for key in keys if key in reader.storages}
        return _arrays(tree, lambda storage: found[storage.key])


def _next_numbers(stream: IO[bytes], storage: Storage, facts: Any) -> NDArray[Any]:
    """A count of eight bytes, and so many numbers."""
    order = "<" if not isinstance(facts, dict) or facts.get("little_endian", True) else ">"
    count = int.from_bytes(stream.read(8), "little" if order == "<" else "big")
    if count != storage.count:
        raise ValueError(f"{count} numbers are stored where {storage.count} were named")
    return storage.values(stream.read(count * storage.item_bytes), order)


def _arrays(tree: Any, numbers: Numbers) -> Any:
    """Tensors as arrays, dictionaries kept, everything else dropped."""
    visited = itertools.count()

    def walk(value: Any, depth: int) -> Any:
        if next(visited) > MOST_ENTRIES:
            raise ValueError(f"it holds more than {MOST_ENTRIES:,} entries")
        if isinstance(value, Strided):
            return _as_float32(value.of(numbers(value.storage)))
        if isinstance(value, Mapping) and depth < DEEPEST:
            pairs = ((str(key), walk(one, depth + 1)) for key, one in value.items())
            return {key: inner for key, inner in pairs if inner is not None}
        return None

    return walk(tree, 0)


def _as_float32(values: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused for that
        return np.asarray(values, "f4" if values.dtype.kind == "f" else values.dtype.newbyteorder("="), "C")
