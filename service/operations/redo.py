"""POST /redo without HTTP: the pictures of a recipe, made again from the recipe alone. Whatever it claims is checked."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from save_files import Recipe, expanded
from service.engine.model import Model, Precision
from service.errors import InvalidValueError, NotFoundError
from service.images.uploads import Header
from service.latents.names import NAME
from service.operations.arithmetic import ArithmeticRequest, combined_pictures
from service.operations.base import Attachments, Context
from service.operations.equation import operands_of
from service.operations.generate import Want, generate, need_sampler
from service.operations.interpolate import InterpolateRequest, interpolate
from service.operations.lookup import parsed
from service.operations.read_back import floats_of, found_of_recipe
from service.operations.requests import Delivery, Generation
from service.operations.results import Pictures
from service.operations.state import State
from service.operations.upsample import UpsampleRequest, precheck, upsample
from service.settings import Settings

Body = TypeVar("Body", bound=BaseModel)
SAMPLED = {"sample", "arithmetic", "interpolate", "project", "direction"}
NOTES = ("expression", "normalize", "radius", "noise_seed", "neighbour", "frame", "distance")
"""What operations add to a recipe for people; copied when the picture is made again."""
WALK = ("frames", "method", "loop", "detail", "fps", "truncation", "scale")
EQUATION = ("expression", "normalize", "neighbourhood", "label", "truncation", "scale")
COMPUTED = ("provider", "machine")
"""What a fast picture's bytes depend on, beside all the rest."""
SHARPEN = ("levels", "start_size", "label", "seed", "level_seeds", "noise", "faithful")


class RedoRequest(Delivery):
    """A recipe, or the file that carries it; for a sharpened picture also the file that it was made from."""

    recipe: dict[str, Any] | None = Field(None, description="What a save file carries, as JSON.")
    image: str | None = Field(None, max_length=22_000_000, description="A save file, base64 or a data: URL.")
    source: str | None = Field(
        None, max_length=22_000_000, description="What a sharpened picture was made from, base64 or a data: URL."
    )
    _cost: int | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one(self) -> "RedoRequest":
        if (self.recipe is None) == (self.image is None):
            raise ValueError("give either recipe or image")
        return self

    @property
    def pictures(self) -> int:
        """Pictures that can be made apart; a walk, an equation and sharpened pictures are one piece of work."""
        recipe = self.recipe or {}
        return 1 if _is_whole(recipe) else len(expanded(recipe))

    @property
    def cost(self) -> int:
        """Pictures' worth of work."""
        frames = (self.recipe or {}).get("frames")
        return self._cost or (frames if isinstance(frames, int) and frames > 0 else self.pictures)


def _is_whole(recipe: Mapping[str, Any]) -> bool:
    return recipe.get("op") == "upsample" or "stops" in recipe or recipe.get("layout") == "equation"


async def redo(context: Context, request: RedoRequest, attachments: Attachments) -> Pictures:
    """The same pixels, on any server that serves the same bundle; of fast ones where it is the same kind of machine, too.

    Raises NotFoundError naming the digest that is missing, InvalidValueError for a recipe or a source that does not fit.
    """
    recipe = request.recipe or {}
    made = await _made_again(context, recipe, attachments)
    return replace(made, notes=(*made.notes, *_other_machine(recipe, made)))


async def _made_again(context: Context, recipe: Recipe, attachments: Attachments) -> Pictures:
    model = model_of(context.state, recipe)
    if recipe.get("op") == "upsample":
        return await _sharpened(context, recipe, attachments)
    need_sampler(model)
    model = await model.at(_precision(recipe))
    if "stops" in recipe:
        return await interpolate(context, _walk(model, recipe), {})
    if recipe.get("layout") == "equation":
        return await _equation(context, model, recipe)
    return await _drawn(context, model, recipe)


def precheck_redo(state: State, request: RedoRequest, header: Header | None) -> None:
    """Refuse what cannot be made again here before it is queued; for sharpening, set the cost by the source's size."""
    recipe = request.recipe or {}
    model_of(state, recipe)
    _check_numbers(recipe)
    _precision(recipe)
    if recipe.get("op") == "upsample":
        if header is None:
            raise _no_source(recipe)
        wishes = _sharpenings(recipe)
        for wish in wishes:
            precheck(state, wish, header)
        request._cost = sum(wish.cost for wish in wishes)
    _check_count(state.settings, recipe)


def model_of(state: State, recipe: Mapping[str, Any]) -> Model:
    """The bundle that made the picture, at its digest. Raises NotFoundError, InvalidValueError."""
    reference = recipe.get("model")
    if not isinstance(reference, str) or not 0 < len(reference) <= 81:
        raise _refusal("the recipe names no model")
    try:
        return state.catalogue.get(reference)
    except NotFoundError as error:
        raise NotFoundError(f"the picture was made by {reference}, which is not served here: {error.detail}") from None


async def _drawn(context: Context, model: Model, recipe: Recipe) -> Pictures:
    """Pictures of seeds or latents, in order."""
    _check_count(context.state.settings, recipe)
    parts = expanded(recipe)
    wants = [_want(model, part) for part in context.mine(parts)]
    wishes = [_valid(Generation, _said(part, ("truncation", "scale"))) for part in parts]
    if any(wish != wishes[0] for wish in wishes):
        raise _refusal("the pictures of this sheet differ in truncation or scale; make them again one by one")
    op = recipe.get("op")
    return await generate(
        context,
        model,
        wants,
        truncation=wishes[0].truncation,
        scale=wishes[0].scale,
        op=op if isinstance(op, str) and op in SAMPLED else "sample",
        columns=_columns(recipe),
    )


def _precision(recipe: Recipe) -> Precision:
    """A recipe that says nothing is exact, whatever the server is set to."""
    parts = {part.get("precision") or "exact" for part in expanded(recipe)}
    if parts == {"exact"} or parts == {"fast"}:
        return cast(Precision, parts.pop())
    raise _refusal("the recipe's precision must be exact or fast, the same for all of its pictures")


def _other_machine(recipe: Recipe, made: Pictures) -> tuple[str, ...]:
    """A sentence where a fast picture was computed by something else than here, and may differ therefore."""
    then, now = expanded(recipe)[0], made.pictures[0].recipe
    if then.get("precision") != "fast" or all(then.get(key) == now.get(key) for key in COMPUTED):
        return ()
    return (
        f"made at precision=fast by {str(then.get('provider'))[:80]} on another kind of machine than this one, where "
        f"{now.get('provider')} computes; each is within its own difference of the exact picture",
    )


def _want(model: Model, recipe: Recipe) -> Want:
    found = found_of_recipe(model, recipe)
    name = recipe.get("name")
    name = name if isinstance(name, str) and NAME.match(name) else None
    return Want(found.vector, found.seed, found.label, name, _said(recipe, NOTES))


def _walk(model: Model, recipe: Recipe) -> InterpolateRequest:
    stops, labels = recipe["stops"], recipe.get("labels")
    if not isinstance(stops, list) or not (labels is None or (isinstance(labels, list) and len(labels) == len(stops))):
        raise _refusal("the recipe's stops are damaged")
    rows = [{"values": floats_of(stop).tolist()} for stop in stops]
    for row, label in zip(rows, labels or (), strict=labels is not None):
        row["label"] = label
    wish = _said(recipe, WALK) | {"precision": _precision(recipe)}
    return _valid(InterpolateRequest, {"model": model.reference, "stops": rows, **wish})


async def _equation(context: Context, model: Model, recipe: Recipe) -> Pictures:
    node = parsed(str(recipe.get("expression", "")), "/recipe/expression")
    sources, expression = operands_of(model, node, recipe), str(recipe.get("expression"))
    found = replace(found_of_recipe(model, recipe), expression=expression, name=None, sources=sources)
    wish = _said(recipe, EQUATION) | {"precision": _precision(recipe)}
    wish |= {"save_as": recipe["name"]} if "name" in recipe else {}  # the name it was kept under; nothing is saved here
    request = _valid(ArithmeticRequest, {"model": model.reference, "layout": "equation", **wish})
    return await combined_pictures(context, model, request, node, found)


async def _sharpened(context: Context, recipe: Recipe, attachments: Attachments) -> Pictures:
    """Every variant again, from the file whose digest the recipe names."""
    source = attachments.get("image")
    if source is None or hashlib.sha256(source).hexdigest()[:16] != recipe.get("input"):
        raise _no_source(recipe)
    made = [await upsample(context, wish, attachments) for wish in _sharpenings(recipe)]
    pictures = tuple(picture for result in made for picture in result.pictures)
    return replace(made[0], pictures=pictures, columns=_columns(recipe))


def _sharpenings(recipe: Recipe) -> list[UpsampleRequest]:
    precision = {"precision": _precision(recipe)}
    wishes = [_said(part, ("model", *SHARPEN)) | precision for part in expanded(recipe)]
    return [_valid(UpsampleRequest, wish) for wish in wishes]


def _said(recipe: Recipe, keys: Sequence[str]) -> dict[str, Any]:
    """What a recipe says of these."""
    return {key: recipe[key] for key in keys if key in recipe}


def _columns(recipe: Recipe) -> int | None:
    columns = recipe.get("columns")
    return columns if isinstance(columns, int) and 0 < columns <= 100_000 else None


def _no_source(recipe: Recipe) -> InvalidValueError:
    digest = str(recipe.get("input"))[:16]
    return InvalidValueError(f"send the picture it was made from, whose SHA-256 begins {digest}", pointer="/source")


def _check_count(settings: Settings, recipe: Recipe) -> None:
    count = len(expanded(recipe))
    if count > settings.max_pictures:
        raise _refusal(f"{count} pictures in one request; the limit is {settings.max_pictures}")


def _check_numbers(recipe: Recipe) -> None:
    try:
        json.dumps(recipe, allow_nan=False)
    except (ValueError, RecursionError):
        raise _refusal("the recipe holds what is no number") from None


def _valid(kind: type[Body], fields: Mapping[str, Any]) -> Body:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(f"the recipe's {'.'.join(map(str, first['loc']))} is wrong: {first['msg']}") from None


def _refusal(sentence: str) -> InvalidValueError:
    return InvalidValueError(sentence, pointer="/recipe")
