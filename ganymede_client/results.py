"""Pictures as they come back: bytes at hand, Pillow and NumPy on demand, shown by themselves in a notebook."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import save_files
from ganymede_client import encode

if TYPE_CHECKING:  # third-party and optional: the client itself needs neither
    import numpy
    import PIL.Image


@dataclass(frozen=True)
class Picture:
    """One picture: the encoded file and what the server says of it (seed, label, recipe, …)."""

    data: bytes
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int | None:
        """The seed that makes it again."""
        return self.facts.get("seed")

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything needed to make it again."""
        return dict(self.facts.get("recipe") or {})

    @property
    def image(self) -> "PIL.Image.Image":
        """As a Pillow image (needs Pillow)."""
        from PIL import Image

        return Image.open(io.BytesIO(self.data))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels (needs Pillow)."""
        return self.image.size

    @property
    def array(self) -> "numpy.ndarray[Any, Any]":
        """As uint8 [h, w] or [h, w, c] (needs Pillow and NumPy)."""
        import numpy

        return numpy.asarray(self.image)

    def encoded(self, suffix: str) -> bytes:
        """The file as `.png`, `.webp` or `.jpg`, recipe included; as the server made it where that is its format."""
        return encode.as_format(self.data, suffix)

    def save(self, path: "str | Path") -> None:
        """Write the file in the format that the name's ending says, recipe included."""
        Path(path).write_bytes(self.encoded(Path(path).suffix))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "image/png": base64.b64encode(self.encoded(".png")).decode(),
            "text/plain": f"Picture(seed={self.seed})",
        }


@dataclass(frozen=True)
class Pictures(Sequence[Picture]):
    """The pictures of one answer, in order; `envelope` is the JSON they came in."""

    pictures: tuple[Picture, ...]
    envelope: dict[str, Any]

    @property
    def model(self) -> str:
        """`name@digest`."""
        return str(self.envelope.get("model", ""))

    @property
    def seeds(self) -> list[int | None]:
        """Seeds in order."""
        return [picture.seed for picture in self.pictures]

    @property
    def sheet(self) -> Picture:
        """All pictures as one contact sheet, like the server's; its recipe makes all of them again (needs Pillow)."""
        data, recipe = encode.sheet([picture.data for picture in self.pictures])
        return Picture(data, {"recipe": recipe})

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        return self.pictures[index]

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"image/png": base64.b64encode(self.sheet.data).decode(), "text/plain": f"Pictures({self.seeds})"}


def recipe_of(file: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe inside a save file. Raises ValueError for one without."""
    recipe = save_files.read_recipe(file) if isinstance(file, bytes) else file
    if recipe is None:
        raise ValueError("this file carries no recipe of Ganymede")
    return recipe


def pictures_of(envelope: dict[str, Any]) -> Pictures:
    """An envelope asked for with `response_format: b64_json`."""
    rows = envelope.get("data", [])
    entries = (
        Picture(base64.b64decode(row["b64_json"] or ""), {k: v for k, v in row.items() if k != "b64_json"})
        for row in rows
    )
    return Pictures(
        tuple(entries), {**envelope, "data": [{k: v for k, v in r.items() if k != "b64_json"} for r in rows]}
    )
