"""Pictures as they come back: bytes at hand, Pillow and NumPy on demand, shown by themselves in a notebook."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    def array(self) -> "numpy.ndarray[Any, Any]":
        """As uint8 [h, w] or [h, w, c] (needs Pillow and NumPy)."""
        import numpy

        return numpy.asarray(self.image)

    def save(self, path: str) -> None:
        """Write the file as the server made it, recipe included."""
        with open(path, "wb") as stream:
            stream.write(self.data)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"image/png": base64.b64encode(self.data).decode(), "text/plain": f"Picture(seed={self.seed})"}


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
    def sheet(self) -> "PIL.Image.Image":
        """All pictures as one contact sheet (needs Pillow)."""
        from PIL import Image

        images = [picture.image for picture in self.pictures]
        columns = max(1, round(len(images) ** 0.5 + 0.499))
        width, height = (max(image.size[axis] for image in images) + 2 for axis in (0, 1))
        sheet = Image.new("RGB", (columns * width - 2, -(-len(images) // columns) * height - 2), "white")
        for k, image in enumerate(images):
            sheet.paste(image.convert("RGB"), (k % columns * width, k // columns * height))
        return sheet

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        return self.pictures[index]

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        buffer = io.BytesIO()
        self.sheet.save(buffer, "PNG")
        return {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": f"Pictures({self.seeds})"}


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
