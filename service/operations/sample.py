"""POST /sample without HTTP: seeds or latents to pictures."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field, model_validator

from models.mathematics.latents import draw, seed_range, truncate
from models.runtimes.base import Pixels
from save_files import Metadata
from service.engine.engine import OnLevel
from service.engine.model import Model
from service.errors import InvalidValueError
from service.images.encode import encode
from service.images.sheet import contact_sheet
from service.latents.record import Origin
from service.operations.base import Attachments, Context, silent
from service.operations.generate import (
    Want,
    check_result_pixels,
    computed,
    generate,
    label_index,
    need_sampler,
    off_loop,
)
from service.operations.requests import Generation, LatentValues, Name, Seed, pin_seed
from service.operations.results import Pictures
from service.operations.state import State
from service.operations.vectors import Found, from_name, from_values, keep, want_of


class SampleRequest(Generation):
    """Pictures from seeds s, s+1, …, s+n-1, from a list of seeds, or from latents."""

    n: int = Field(1, ge=1, le=100_000, strict=True, description="How many pictures.", examples=[4])
    seed: Seed | None = Field(None, description="First seed; absent: drawn at random and returned.", examples=[7])
    seeds: list[Seed] | None = Field(None, min_length=1, max_length=100_000, description="Exactly these seeds.")
    latents: list[Name | LatentValues] | None = Field(
        None, min_length=1, max_length=10_000, description="Saved latents by name, or their values."
    )
    save_as: Name | None = Field(None, description="Keep the (single) latent under this name.")

    @model_validator(mode="after")
    def _one_source(self) -> "SampleRequest":
        given = [name for name in ("seed", "seeds", "latents") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of seed, seeds, latents, not {' and '.join(given)}")
        if self.save_as is not None and self.count != 1:
            raise ValueError("save_as keeps one latent; ask for one picture")
        return self

    @property
    def count(self) -> int:
        """Pictures this request makes."""
        return len(self.seeds or self.latents or ()) or self.n


async def sample(context: Context, request: SampleRequest, attachments: Attachments) -> Pictures:
    """Draw or fetch the latents and run the generator; the same seeds give the same pixels whoever else is asking."""
    asked = (precheck if context.part is None else precheck_set)(context.state, request)
    model = await computed(context, asked, request.precision)
    wants = await _wants(context, model, request)
    result = await generate(
        context,
        model,
        wants,
        truncation=request.truncation,
        scale=request.scale,
        on_level=_report(context, model, request.metadata),
    )
    if request.save_as is not None:
        await _keep(context, model, wants[0], request.save_as, request.truncation)
        result = replace(result, extra={"saved": request.save_as})
    return result


def precheck(state: State, request: SampleRequest) -> Model:
    """The model; whatever can be refused without computing is refused here, before a large request is queued, too."""
    model = _checked(state, request, state.settings.max_pictures)
    check_result_pixels(state.settings, model, request.count, request.scale)
    return model


def precheck_set(state: State, request: SampleRequest) -> Model:
    """The same for a set, which is made and kept in parts (`sets.py`)."""
    return _checked(state, request, state.settings.max_set_pictures)


def _checked(state: State, request: SampleRequest, limit: int) -> Model:
    if request.count > limit:
        raise InvalidValueError(
            f"{request.count} pictures in one request; the limit is {limit}", pointer="/n", hint=f"at most {limit}"
        )
    model = state.catalogue.get(request.model)
    need_sampler(model)
    label_index(model, request.label)
    return model


async def _keep(context: Context, model: Model, want: Want, name: str, truncation: float) -> None:
    """The latent as it was shown, truncation included, so that its picture is the one in this answer."""
    seed = want.seed if truncation == 1.0 else None
    origin: Origin = "values" if seed is None else "seed"
    await keep(context, model, Found(truncate(want.vector, truncation), origin, want.label, seed), name)


async def _wants(context: Context, model: Model, request: SampleRequest) -> list[Want]:
    if request.latents is not None:
        return [await _latent(context, model, item, request.label) for item in context.mine(request.latents)]
    seeds = context.mine(request.seeds or seed_range(pin_seed(request).seed or 0, request.n))
    return await off_loop(len(seeds), _drawn, model, request, seeds)


def _drawn(model: Model, request: SampleRequest, seeds: Sequence[int]) -> list[Want]:
    vectors = draw(model.manifest.latent, seeds)
    return [Want(v, s, label_index(model, request.label, s)) for v, s in zip(vectors, seeds, strict=True)]


async def _latent(context: Context, model: Model, item: str | LatentValues, label: str | int | None) -> Want:
    if isinstance(item, LatentValues):
        found = from_values(model, item.values, "/latents")
    else:
        found = await from_name(context, model, item)
    return want_of(model, found, label)


def _report(context: Context, model: Model, metadata: Metadata) -> OnLevel | None:
    """Levels as events: the coarse pictures of a pyramid reach a stream before the fine ones are computed."""
    if context.emit is silent:
        return None
    levels = len(model.manifest.levels)

    async def on_level(level: int, pixels: Pixels) -> None:
        await context.emit("progress", {"done": level + 1, "total": levels, "unit": "levels"})
        if levels > 1:
            png = await asyncio.to_thread(lambda: encode(contact_sheet(list(pixels)), "png", None, metadata))
            data = {"level": level, "size": list(pixels.shape[1:3]), "b64_json": png}
            await context.emit("level", data)

    return on_level
