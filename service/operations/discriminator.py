"""POST /classify and POST /features without HTTP: what a bundle's discriminator says of a visitor's picture."""

import asyncio
import time
from typing import Any

import numpy as np
from pydantic import Field

from models.manifest import Discriminator
from models.runtimes.base import Array, DiscriminatorOutput, one_hot
from service.engine.model import Model
from service.errors import InvalidValueError
from service.operations.base import Attachments, Context
from service.operations.generate import engine_of, label_index
from service.operations.project import fitted
from service.operations.requests import Fit, Label, ModelReference, Waiting
from service.operations.results import Document


class DiscriminatorRequest(Waiting):
    """How the picture sent along becomes the discriminator's."""

    model: ModelReference | None = None
    label: Label | None = Field(None, description="For a discriminator that is told the class; absent: the first.")
    fit: Fit = "crop"
    invert: bool = Field(False, description="Swap dark and light first: MNIST's digits are light on dark.")


async def classify(context: Context, request: DiscriminatorRequest, attachments: Attachments) -> Document:
    """Class probabilities where the bundle has a K+1 classifier, and the probability of being a real picture."""
    model, discriminator, output, timing_ms = await _discriminate(context, request, attachments)
    body = {
        "model": model.reference,
        "kind": discriminator.kind,
        **answer_of(discriminator, output.logits[0].astype(np.float64)),
    }
    return Document(body, model=model.reference, provider=model.provider, timing_ms=timing_ms)


async def features(context: Context, request: DiscriminatorRequest, attachments: Attachments) -> Document:
    """The discriminator's features of the picture, [1, feature_size]; another picture never changes them."""
    model, discriminator, output, timing_ms = await _discriminate(context, request, attachments)
    body = {
        "model": model.reference,
        "size": discriminator.feature_size,
        "features": [round(float(value), 6) for value in output.features[0]],
    }
    return Document(body, output.features, model.reference, model.provider, timing_ms)


def answer_of(discriminator: Discriminator, logits: np.ndarray) -> dict[str, Any]:
    """What logits mean: softmax over K for the label, sigmoid of log-sum-exp (or of the one logit) for p(real)."""
    if discriminator.kind == "real" or discriminator.classes is None:
        return {"p_real": sigmoid(float(logits[0])), "label": None, "probabilities": None}
    top = float(logits.max())
    weights = np.exp(logits - top)
    shares = weights / weights.sum()
    log_z = top + float(np.log(weights.sum()))
    return {
        "p_real": sigmoid(log_z),
        "label": discriminator.classes[int(shares.argmax())],
        "probabilities": dict(zip(discriminator.classes, shares.tolist(), strict=True)),
    }


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return float(np.exp(-np.logaddexp(0.0, -x)))


def _model(context: Context, request: DiscriminatorRequest) -> tuple[Model, Discriminator]:
    model = context.state.catalogue.get(request.model)
    discriminator = model.manifest.discriminator
    if discriminator is None:
        detail = f"{model.bundle.name} was exported without its discriminator"
        raise InvalidValueError(detail, pointer="/model", hint="no discriminator")
    if request.label is not None and not discriminator.label:
        detail = f"the discriminator of {model.bundle.name} takes no label"
        raise InvalidValueError(detail, pointer="/label", hint="not taken by this model")
    return model, discriminator


async def _discriminate(
    context: Context, request: DiscriminatorRequest, attachments: Attachments
) -> tuple[Model, Discriminator, DiscriminatorOutput, dict[str, float]]:
    model, discriminator = _model(context, request)
    decoded = await context.state.uploads.decode(attachments.get("image", b""))
    picture: Array = await asyncio.to_thread(fitted, decoded, model, request.fit)
    picture = -picture if request.invert else picture
    started = time.perf_counter()
    output = await engine_of(context).discriminate(model, picture[None], _label(request, model, discriminator))
    return model, discriminator, output, {"compute": (time.perf_counter() - started) * 1e3}


def _label(request: DiscriminatorRequest, model: Model, discriminator: Discriminator) -> Array | None:
    if not discriminator.label or model.manifest.labels is None:
        return None
    return one_hot([label_index(model, request.label, seed=0)], len(model.manifest.labels))
