"""Real pictures with yes/no attributes from a csv, prepared as a bundle's own training set was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.bundle import Bundle
from training.classifiers.attributes import Labelled, by_name
from training.data.dataset import read_all
from training.data.sources import find_pictures
from training.errors import DataError
from training.recipes.tables import DataTable

PERSON = "person"


def load_labelled(bundle: Bundle, attributes: Path, names: Sequence[str]) -> Labelled:
    """The pictures beside `attributes` (a csv with a `file` column), cropped and scaled as the bundle's recipe says.

    A name is a column of 0 and 1, or `column:value|value`: the column's text is one of these. Raises DataError for a csv
    without the attributes asked for or with the same answer everywhere, or without pictures beside it.
    """
    table, columns = _table(bundle), [name.partition(":")[0] for name in names]
    pictures = find_pictures(attributes.parent)
    by_name(sorted(set().union(*(picture.attributes for picture in pictures))), columns)
    loaded, _ = read_all(pictures, table)
    rows = [(p.attributes, item.pixels) for p, item in zip(pictures, loaded, strict=True) if item.pixels is not None]
    rows = [row for row in rows if all(column in row[0] for column in columns)]
    if not rows:
        raise DataError(f"no picture beside '{attributes.name}' has the attributes {', '.join(names)}")
    labels = np.array([[shows(known, name) for name in names] for known, _ in rows], np.float32)
    if alike := [name for name, share in zip(names, labels.mean(0), strict=True) if share in (0, 1)]:
        raise DataError(f"nothing to tell apart: all pictures have the same answer for {', '.join(alike)}")
    return Labelled(
        np.stack([pixels for _, pixels in rows if pixels is not None]),
        labels,
        np.array([int(known.get(PERSON) or k) for k, (known, _) in enumerate(rows)], np.int64),
        tuple(names),
    )


def shows(known: Mapping[str, str], name: str) -> bool:
    """Whether a picture shows the attribute `column` (1, or a share above a half) or `column:value|value`.

    Raises DataError for a column of text without the values that mean yes.
    """
    column, _, values = name.partition(":")
    text = known[column]
    if values:
        return text in values.split("|")
    try:
        return float(text) > 0.5
    except ValueError:
        raise DataError(f"'{column}' is text; say which values mean yes, for example {column}:{text}") from None


def _table(bundle: Bundle) -> DataTable:
    """How the generator's training pictures were prepared; the manifest carries the recipe."""
    image = bundle.manifest.image
    known = bundle.manifest.provenance.recipe.get("data")
    kept = {key: known[key] for key in ("fit", "crop") if key in known} if isinstance(known, dict) else {}
    if image.width != image.height:
        raise DataError(f"{bundle.name} makes {image.width}x{image.height} pictures; only squares can be learned from")
    return DataTable.model_validate({**kept, "size": image.width, "channels": image.channels})
