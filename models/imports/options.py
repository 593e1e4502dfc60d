"""What a user may say about a foreign file, because the file cannot; every field has a default."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from models.manifest import Distribution, Name

Join = Literal["before", "after", "multiplied"]
ACTIVATIONS = ("relu", "leaky", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "none")
MAX_LABEL_FILE_BYTES = 1 << 20


def _law(value: Any) -> Any:
    """`normal` is short for `standard_normal`."""
    return "standard_normal" if value == "normal" else value


def _names(value: Any) -> Any:
    """Names separated by commas, or the lines of a file."""
    if not isinstance(value, str):
        return value
    path = Path(value)
    if "," not in value and path.is_file():
        if path.stat().st_size > MAX_LABEL_FILE_BYTES:
            raise ValueError(f"{value} is larger than {MAX_LABEL_FILE_BYTES} bytes")
        return tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _sides(value: Any) -> Any:
    """`64` or `64x96`, height first."""
    if not isinstance(value, str):
        return value
    parts = value.lower().split("x")
    return (int(parts[0]), int(parts[-1]))


def _pair(value: Any) -> Any:
    """`-1,1` as two numbers."""
    return tuple(float(part) for part in value.split(",")) if isinstance(value, str) else value


def _settings(value: Any) -> Any:
    """`a=1,b=2` as a dictionary of texts."""
    if not isinstance(value, str):
        return value
    return dict(part.split("=", 1) for part in value.split(",") if part)


Side = Annotated[int, Field(ge=1, le=2048)]


class Options(BaseModel):
    """The wishes of one import; texts of the command line are read as the types the fields have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name | None = Field(None, description="Name of the bundle; absent: from the file's name.")
    kind: Literal["generate", "upsample"] = Field("generate", description="From latents, or from picture to picture.")
    description: str = Field("", description="One sentence for people.")
    size: Annotated[tuple[Side, Side] | None, BeforeValidator(_sides)] = Field(
        None, description="Height x width in pixels, where the file leaves it open."
    )
    latent: int | None = Field(
        None, ge=1, le=1_000_000, description="Numbers in a latent, where the file leaves it open."
    )
    law: Annotated[Distribution, BeforeValidator(_law)] = Field(
        "standard_normal", description="What latents are drawn from."
    )
    labels: Annotated[tuple[str, ...] | None, BeforeValidator(_names)] = Field(
        None, description="Names of the classes: a file with one a line, or separated by commas."
    )
    range: Annotated[tuple[float, float] | None, BeforeValidator(_pair)] = Field(
        None, description="Values of black and white, such as -1,1; absent: measured."
    )
    layout: Literal["nchw", "nhwc"] | None = Field(None, description="Channel order, where both would do.")
    input: Annotated[dict[str, str], BeforeValidator(_settings)] = Field(
        {}, description="What an input of the graph is: latent, one-hot, index, or its constant value."
    )
    output: str | None = Field(None, description="The output that is the picture.")
    activation: str | None = Field(None, description="Between the layers of a checkpoint, such as relu or leaky:0.2.")
    last: str | None = Field(None, description="After the last layer of a checkpoint, such as tanh or sigmoid.")
    eps: float | None = Field(None, gt=0, lt=10, description="BatchNorm's epsilon in a checkpoint.")
    join: Join | None = Field(None, description="How a checkpoint's label joins the latent.")
    class_: str | None = Field(None, description="module:Class that builds the generator; your own code is run.")
    init: Annotated[dict[str, str], BeforeValidator(_settings)] = Field({}, description="Arguments of that class.")
    licence: str = Field("not stated", description="Of the weights and pictures.")
    dataset: str = Field("not stated", description="What the generator was trained on.")
    dataset_licence: str = Field("not stated", description="Of that data.")
