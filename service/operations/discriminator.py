"""POST /classify and POST /features without HTTP: what a bundle's discriminator says of a visitor's picture."""

import asyncio
import time
from typing import Any, Literal

import numpy as np
from pydantic import Field

from models.manifest import Discriminator
from models.runtimes.base import Array, Judgement, one_hot
from service.engine.model import Model
from service.errors import InvalidValueError
from service.operations.base import Attachments, Context
from service.operations.generate import engine_of, label_index
from service.operations.project import fitted
from service.operations.requests import Label, ModelReference, Strict
from service.operations.results import Document


class JudgeRequest(Strict):
    """How the picture sent along becomes the discriminator's."""

    model: ModelReference | None = None
    label: Label | None = Field(None, description="For a discriminator that is told the class; absent: the first.")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="How another shape becomes the model's.")
    invert: bool = Field(False, description="Swap dark and light first: MNIST's digits are light on dark.")
    timeout_ms: int | None = Field(None, ge=1, le=3_600_000, description="Deadline; X-Deadline-Ms says the same.")
    webhook: str | None = Field(None, max_length=2000, description="Called when the job ends (allow-listed hosts).")


async def classify(context: Context, request: JudgeRequest, attachments: Attachments) -> Document:
    """Class probabilities where the bundle has a K+1 classifier, and the probability of being a real picture."""
    model, judge = _model(context, request)
    judgement, took_ms = await _judge(context, request, attachments, model, judge)
    body = {"model": model.reference, "kind": judge.kind, **answer_of(judge, judgement.logits[0].astype(np.float64))}
    return Document(body, model=model.reference, provider=model.provider, timing_ms={"compute": took_ms})


async def features(context: Context, request: JudgeRequest, attachments: Attachments) -> Document:
    """The discriminator's features of the picture, [1, feature_size]; another picture never changes them."""
    model, judge = _model(context, request)
    judgement, took_ms = await _judge(context, request, attachments, model, judge)
    body = {
        "model": model.reference,
        "size": judge.feature_size,
        "features": [round(float(value), 6) for value in judgement.features[0]],
    }
    return Document(body, judgement.features, model.reference, model.provider, {"compute": took_ms})


def answer_of(judge: Discriminator, logits: np.ndarray) -> dict[str, Any]:
    """What logits mean: softmax over K for the label, sigmoid of log-sum-exp (or of the one logit) for p(real)."""
    if judge.kind == "real" or judge.classes is None:
        return {"p_real": sigmoid(float(logits[0])), "label": None, "probabilities": None}
    top = float(logits.max())
    weights = np.exp(logits - top)
    shares = weights / weights.sum()
    log_z = top + float(np.log(weights.sum()))
    return {
        "p_real": sigmoid(log_z),
        "label": judge.classes[int(shares.argmax())],
        "probabilities": dict(zip(judge.classes, shares.tolist(), strict=True)),
    }


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return float(np.exp(-np.logaddexp(0.0, -x)))


def _model(context: Context, request: JudgeRequest) -> tuple[Model, Discriminator]:
    model = context.state.catalogue.get(request.model)
    judge = model.manifest.discriminator
    if judge is None:
        detail = f"{model.bundle.name} was exported without its discriminator"
        raise InvalidValueError(detail, errors=[{"pointer": "/model", "detail": "no discriminator"}])
    if request.label is not None and not judge.label:
        detail = f"the discriminator of {model.bundle.name} takes no label"
        raise InvalidValueError(detail, errors=[{"pointer": "/label", "detail": "not taken by this model"}])
    return model, judge


async def _judge(
    context: Context, request: JudgeRequest, attachments: Attachments, model: Model, judge: Discriminator
) -> tuple[Judgement, float]:
    decoded = await context.state.uploads.decode(attachments.get("image", b""))
    picture: Array = await asyncio.to_thread(fitted, decoded, model, request.fit)
    picture = -picture if request.invert else picture
    started = time.perf_counter()
    judgement = await engine_of(context).judge(model, picture[None], _label(request, model, judge))
    return judgement, (time.perf_counter() - started) * 1e3


def _label(request: JudgeRequest, model: Model, judge: Discriminator) -> Array | None:
    if not judge.label or model.manifest.labels is None:
        return None
    return one_hot([label_index(model, request.label, seed=0)], len(model.manifest.labels))
