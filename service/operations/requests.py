"""Fields that requests share, and their checks."""

import secrets
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from models.mathematics.latents import SEED_COUNT
from save_files import Metadata
from service.engine.model import Precision
from service.latents.names import NAME_PATTERN, REFERENCE_PATTERN
from service.latents.record import MAX_TAGS

Request = TypeVar("Request", bound=BaseModel)
Seed = Annotated[int, Field(ge=0, le=2**32 - 1, strict=True, description="0 … 2³²−1")]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Tags = Annotated[list[Name], Field(max_length=MAX_TAGS)]
Values = Annotated[list[float], Field(min_length=1, max_length=1_000_000)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
ModelReference = Annotated[
    str,
    StringConstraints(pattern=REFERENCE_PATTERN),
    Field(description="name or name@digest; absent: the default model", examples=["fashion32"]),
]
Label = Annotated[int, Field(ge=0, strict=True)] | Annotated[str, StringConstraints(min_length=1, max_length=100)]


PrecisionField = Annotated[
    Precision | None,
    Field(
        description="fast: the fastest runtime here, with the bound of its difference; absent: as the server is set."
    ),
]


Fit = Annotated[Literal["crop", "pad", "stretch"], Field(description="How another shape becomes the model's.")]
_METADATA = {True: "full", "true": "full", False: "none", "false": "none"}
"""What a boolean means, also as text: forms and addresses have no booleans."""
MetadataField = Annotated[
    Metadata,
    BeforeValidator(lambda wish: _METADATA.get(wish, wish) if isinstance(wish, bool | str) else wish),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["full", "minimal", "none"]}, {"type": "boolean"}]}),
]


class Strict(BaseModel):
    """Unknown fields are refused, numbers are finite and never read from text."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Waiting(Strict):
    """Until when somebody waits for an answer, and who hears of it otherwise."""

    timeout_ms: int | None = Field(None, ge=1, le=3_600_000, description="Deadline; X-Deadline-Ms says the same.")
    webhook: str | None = Field(None, max_length=2000, description="Called when the job ends (allow-listed hosts).")


class Delivery(Waiting):
    """How an answer is wanted; the same for every operation that makes pictures."""

    response_format: Literal["url", "b64_json"] = Field("url", description="How JSON carries each picture.")
    output_format: Literal["png", "webp", "jpeg"] = Field("png", description="Format of pictures inside JSON and zip.")
    layout: Literal["images", "grid"] = Field("images", description="grid: one contact sheet instead of pictures.")
    metadata: MetadataField = Field("full", description="Recipe and source mark inside the files; false: none.")


class Generation(Delivery):
    """Fields of every operation that runs a generator."""

    model: ModelReference | None = None
    label: Label | None = Field(None, description="Class name or number; absent: seed modulo the number of classes.")
    truncation: float = Field(
        1.0, ge=0.0, le=2.0, description="Scales the latent; below 1 pictures are fainter and more alike."
    )
    scale: int = Field(1, ge=1, le=16, description="Every pixel as a scale x scale square.")
    precision: PrecisionField = None


class LatentValues(Strict):
    """A latent given by its numbers."""

    values: Values


class Source(Strict):
    """A latent given by one of several fields; whoever inherits says which and checks that it is one."""

    seed: Seed | None = None
    values: Values | None = None
    expression: Expression | None = None
    label: Label | None = Field(None, description="Its class, by name or number.")


def need_one(request: BaseModel, *names: str) -> None:
    """Raises ValueError unless exactly one of these fields is given."""
    given = [name for name in names if getattr(request, name) is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}, not {len(given)}")


def pin_seed(request: Request) -> Request:
    """The request with its random seed drawn where it says none, so that every attempt of a job makes the same pictures."""
    if any(getattr(request, name, None) is not None for name in ("seed", "seeds", "level_seeds", "latents")):
        return request
    return request.model_copy(update={"seed": secrets.randbelow(SEED_COUNT)})


def delivery_of(request: BaseModel) -> Delivery:
    """The delivery fields of any request; defaults for one that makes no pictures."""
    if isinstance(request, Delivery):
        return request
    return Delivery(**request.model_dump(include=set(Waiting.model_fields)))
