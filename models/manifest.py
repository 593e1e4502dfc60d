"""What a bundle says of itself: `manifest.json`, format versions 1 to 3.

A generator is a list of levels; every level's graph is `(previous, noise[, label]) -> picture`.
The latent is one flat float32 vector; `latent.cuts` says how to cut it, one cut a level, in order.
Families are named for people only: nothing that reads a manifest behaves differently by family.
"""

import hashlib
import json
import math
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.errors import ManifestError, RuntimeUnavailableError

FORMAT = "ganymede-bundle"
FORMAT_VERSIONS = (1, 2, 3)
"""Version 2 may keep tensors of its graphs in `weights.file`, version 3 graphs as TorchScript alone; the rest is version 1."""
STRAIGHT, TURNED = "w", "straightening.z"
"""The name of a straightened first cut, and inside the first graph that of the latent which its turns give."""
MAX_SIDE = 2048
MAX_LATENT = 1_000_000
MAX_LABELS = 10_000

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Distribution = Literal["standard_normal", "uniform"]


class Part(BaseModel):
    """Base of every part of a manifest: immutable, unknown fields refused, numbers never coerced from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Image(Part):
    """Size of the final picture: pixels, and 1 (grey), 3 (RGB) or 4 (RGBA, alpha not premultiplied) channels."""

    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)
    channels: Literal[1, 3, 4]


class Cut(Part):
    """One named stretch of the latent, reshaped to `shape` (without the batch axis) for one level's `noise`."""

    name: Name
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=3)

    @property
    def size(self) -> int:
        """How many numbers of the flat latent this cut takes."""
        return math.prod(self.shape)


class Latent(Part):
    """The prior of the flat latent and the cuts that use it up, in order. `size` 0: the bundle only upsamples."""

    distribution: Distribution
    size: int = Field(ge=0, le=MAX_LATENT)
    cuts: tuple[Cut, ...] = ()

    @model_validator(mode="after")
    def _cuts_fill_the_vector(self) -> "Latent":
        if sum(cut.size for cut in self.cuts) != self.size:
            raise ValueError(f"the cuts take {sum(c.size for c in self.cuts)} numbers but the latent has {self.size}")
        return self


class Files(Part):
    """File names of one graph, by export format; at least one of them, and before version 3 ONNX."""

    onnx: str | None = None
    torchscript: str | None = None

    @model_validator(mode="after")
    def _one_is_there(self) -> "Files":
        if not (self.onnx or self.torchscript):
            raise ValueError("a graph needs an ONNX or a TorchScript file")
        return self

    @property
    def onnx_file(self) -> str:
        """The ONNX file. Raises RuntimeUnavailableError for a graph that is TorchScript alone."""
        if self.onnx is None:
            raise RuntimeUnavailableError(f"{self.torchscript} is TorchScript alone, which only PyTorch computes")
        return self.onnx


class Level(Part):
    """One graph. `previous` is the side lengths [height, width] of the picture it takes, None at the first level.

    With `factor` set the level is fully convolutional: it takes any [h, w] and gives [factor*h, factor*w];
    `previous` and `output` then state the size it was trained on.
    """

    previous: tuple[int, int] | None
    output: tuple[int, int]
    label: bool = False
    factor: int | None = Field(default=None, ge=2, le=8)
    halo: int = Field(default=0, ge=0, le=256, description="input pixels around a tile that reach into its output")
    files: Files

    @model_validator(mode="after")
    def _sizes_are_sane(self) -> "Level":
        for side in (*self.output, *(self.previous or ())):
            if not 1 <= side <= MAX_SIDE:
                raise ValueError(f"a side of {side} pixels is outside 1..{MAX_SIDE}")
        return self


class Upsampling(Part):
    """How a user's picture enters the chain.

    `fixed`: it is fitted to one of `start_sizes` (sides, pixels) and rises to the bundle's image size. The noise of a
    level is that level's cut of the latent of the seed, as in sampling.
    `any-size`: the single level, with `factor` and `halo`, is applied again and again; `latent.size` is 0. The noise of
    one [1, H, W] plane at each level's OUTPUT size comes from one stream of the seed, level after level: the first
    H*W numbers for the first level, the next 4*H*W for the second, ..., in `latent.distribution`.
    `operator` is the enlargement inside the graphs: `corner-aligned` (models.mathematics.pyramid.enlarge) for fixed sizes,
    `half-pixel` (models.mathematics.pyramid.double), which does not depend on the place, where pictures are cut into tiles.
    """

    kind: Literal["fixed", "any-size"]
    start_sizes: tuple[int, ...] = ()
    max_factor: int = Field(default=8, ge=2, le=64)
    operator: Literal["corner-aligned", "half-pixel"] = "corner-aligned"


class Discriminator(Part):
    """The exported discriminator: `(image[, label]) -> logits, features`; image float32 [n, c, h, w] in -1..1.

    `real`: one logit, sigmoid gives p(real). `classes`: K logits of a K+1 classifier with l_{K+1} = 0;
    softmax gives class probabilities and p(real) = Z / (Z + 1), Z = sum exp l (Improved Techniques, section 5).
    """

    kind: Literal["real", "classes"]
    feature_size: int = Field(ge=1)
    classes: tuple[str, ...] | None = None
    label: bool = False
    files: Files


class FileRecord(Part):
    """Fingerprint of one file of the bundle."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    bytes: int = Field(ge=0)


class Weights(Part):
    """The safetensors file that holds what the graphs read, each tensor once, and how exactly.

    `float16`: matrices and kernels are stored as float16 and computed with as float32; `float16-discriminator`: only
    those of the discriminator are.
    """

    file: str
    precision: Literal["float32", "float16", "float16-discriminator"] = "float32"


class Provenance(Part):
    """Where the weights come from."""

    dataset: str
    dataset_licence: str
    licence: str
    recipe: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    steps: int = 0
    images_seen: int = 0
    code_version: str = ""
    created: str = ""


class Score(Part):
    """One measured figure and how it was measured (extractor, counts, split, seed)."""

    name: str
    value: float
    protocol: str


class ExportCheck(Part):
    """Largest absolute difference between a reopened file and the eager network on fixed latents."""

    file: str
    max_abs_difference: float = Field(ge=0)


class Manifest(Part):
    """Everything a server needs to know of a bundle without opening a graph."""

    format: Literal["ganymede-bundle"] = "ganymede-bundle"
    format_version: Literal[1, 2, 3] = 1
    name: Name
    family: str
    description: str = ""
    image: Image
    latent: Latent
    labels: tuple[str, ...] | None = Field(default=None, min_length=2, max_length=MAX_LABELS)
    levels: tuple[Level, ...] = Field(min_length=1, max_length=16)
    upsampling: Upsampling | None = None
    discriminator: Discriminator | None = None
    weights: Weights | None = None
    value_range: tuple[float, float] = (-1.0, 1.0)
    provenance: Provenance
    scores: tuple[Score, ...] = ()
    export_checks: tuple[ExportCheck, ...] = ()
    files: dict[str, FileRecord]

    @model_validator(mode="after")
    def _parts_agree(self) -> "Manifest":
        if self.weights is not None and self.format_version == 1:
            raise ValueError("weights belongs to format version 2")
        if self.scripted and self.format_version < 3:
            raise ValueError("a graph without ONNX belongs to format version 3")
        _check_chain(self)
        _check_files(self)
        return self

    @property
    def graphs(self) -> tuple[Files, ...]:
        """The files of every level, and of the discriminator where there is one."""
        discriminator = (self.discriminator.files,) if self.discriminator else ()
        return (*(level.files for level in self.levels), *discriminator)

    @property
    def scripted(self) -> bool:
        """Whether a graph is TorchScript alone, so that only PyTorch computes the bundle."""
        return any(files.onnx is None for files in self.graphs)

    @property
    def samples(self) -> bool:
        """Whether the bundle can make pictures from latents alone (an any-size upsampler cannot)."""
        return self.levels[0].previous is None

    @property
    def conditional(self) -> bool:
        """Whether any level takes a label."""
        return any(level.label for level in self.levels)


def _check_chain(manifest: Manifest) -> None:
    levels = manifest.levels
    if manifest.samples and len(manifest.latent.cuts) != len(levels):
        raise ValueError(f"{len(levels)} levels need as many latent cuts, not {len(manifest.latent.cuts)}")
    for k, (lower, upper) in enumerate(pairwise(levels)):
        if upper.previous != lower.output:
            raise ValueError(f"level {k + 1} takes {upper.previous} but level {k} gives {lower.output}")
    if levels[-1].output != (manifest.image.height, manifest.image.width):
        raise ValueError("the last level's output is not the image size")
    if manifest.conditional and not manifest.labels:
        raise ValueError("a level takes a label but the manifest names no labels")
    if manifest.upsampling:
        _check_upsampling(manifest, manifest.upsampling)


def _check_upsampling(manifest: Manifest, upsampling: Upsampling) -> None:
    if upsampling.kind == "any-size":
        if len(manifest.levels) != 1 or manifest.levels[0].factor is None or manifest.latent.size:
            raise ValueError("an any-size bundle has one level, with a factor, and no latent")
        return
    squares = [level.previous for level in manifest.levels if level.previous]
    entries = {height for height, width in squares if height == width}
    unknown = sorted(set(upsampling.start_sizes) - entries)
    if unknown or not upsampling.start_sizes:
        raise ValueError(f"start_sizes {list(upsampling.start_sizes)} must be among {sorted(entries)}")


def _check_files(manifest: Manifest) -> None:
    wanted = [f for files in manifest.graphs for f in (files.onnx, files.torchscript) if f]
    wanted += [manifest.weights.file] if manifest.weights else []
    missing = sorted(set(wanted) - set(manifest.files))
    if missing:
        raise ValueError(f"no checksum for {', '.join(missing)}")


def parse_manifest(text: bytes) -> Manifest:
    """Read `manifest.json`. Raises ManifestError with one readable sentence for anything that is off."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"manifest.json is not JSON: {error}") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ManifestError(f'manifest.json must be an object with "format": "{FORMAT}"')
    if raw.get("format_version") not in FORMAT_VERSIONS:
        known = ", ".join(map(str, FORMAT_VERSIONS))
        raise ManifestError(f"format version {raw.get('format_version')!r} is not supported; {known} are")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ManifestError(f"{where}: {first['msg']}") from None


def manifest_to_bytes(manifest: Manifest) -> bytes:
    """Canonical JSON of a manifest: sorted keys, two-space indent, a final newline."""
    fields = manifest.model_dump(mode="json", exclude=None if manifest.weights else {"weights"})  # version 1 knows none
    return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode()


def digest_of(text: bytes) -> str:
    """Digest of a bundle: the first 16 hex digits of the sha256 of `manifest.json` as stored."""
    return hashlib.sha256(text).hexdigest()[:16]
