"""docs/bundle-format.md says what the code does: fields, limits, and the seeds' test vectors."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from models.manifest import FORMAT, FORMAT_VERSIONS, MAX_SIDE, Cut, Distribution, Latent, Manifest
from models.mathematics.latents import draw

PAGE = (Path(__file__).parents[2] / "docs" / "bundle-format.md").read_text(encoding="utf-8")
VECTOR = re.compile(r"^\| `(\w+)` \| (\d+) \| `([0-9a-f]{24})` \| ([^|]+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
VECTORS = VECTOR.findall(PAGE)
FIELD = re.compile(r"^\| `(\w+)` \| (MUST|MAY) \|", re.MULTILINE)


@pytest.mark.parametrize(("distribution", "seed", "first", "shown", "digest"), VECTORS)
def test_published_vectors(distribution: Distribution, seed: str, first: str, shown: str, digest: str) -> None:
    """Whoever implements the format from the page alone draws the same latents as this code."""
    prior = Latent(distribution=distribution, size=100, cuts=(Cut(name="z", shape=(100,)),))
    row = draw(prior, [int(seed)])[0].astype("<f4")
    assert first == row[:3].tobytes().hex()
    assert np.array_equal(np.array(shown.split(", "), np.float32), row[:3])
    assert digest == hashlib.sha256(row.tobytes()).hexdigest()


def test_vectors_cover_both_priors_and_the_ends_of_the_range() -> None:
    """Each distribution has its first and its last seed on the page."""
    published = {(distribution, int(seed)) for distribution, seed, *_ in VECTORS}
    assert {(d, s) for d in ("standard_normal", "uniform") for s in (0, 2**32 - 1)} <= published


def test_every_field_is_on_the_page() -> None:
    """The table lists the manifest's fields in order, no more and no fewer, and its MUSTs are what a reader needs."""
    listed = dict(FIELD.findall(PAGE))
    assert list(Manifest.model_fields) == list(listed)
    required = {name for name, field in Manifest.model_fields.items() if field.is_required()}
    assert required | {"format", "format_version"} == {name for name, word in listed.items() if word == "MUST"}


def test_constants() -> None:
    """The format's name and version and the largest side stand on the page as they stand in the code."""
    assert f'"format": "{FORMAT}"' in PAGE
    assert f'"format_version": {" or ".join(map(str, FORMAT_VERSIONS))}' in PAGE
    assert f"(1 … {MAX_SIDE})" in PAGE
