"""The named parts of the OpenAPI document that answers are made of, so that generated clients have types for them."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
YES_NO: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
TEXTS: Schema = {"type": "array", "items": TEXT}


def ref(name: str) -> Schema:
    """A reference to one of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def listing(name: str) -> Schema:
    """An array of one of COMPONENTS."""
    return {"type": "array", "items": ref(name)}


def record(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object whose properties are all there, except the optional ones; more may come in later versions."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        "additionalProperties": True,
    }


def page_of(name: str) -> Schema:
    """A page of a list: `data`, and the cursor of the next page."""
    return record(data=listing(name), next_cursor=MAYBE_TEXT)


_MODEL = {
    "name": TEXT, "digest": TEXT, "reference": TEXT, "is_default": YES_NO, "family": TEXT, "description": TEXT, "provider": TEXT,
    "fast": {"type": ["object", "null"]},
    "image": record(width=WHOLE, height=WHOLE, channels=WHOLE),
    "latent": record(distribution=TEXT, size=WHOLE),
    "labels": {"type": ["array", "null"], "items": TEXT},
    "levels": WHOLE, "samples": YES_NO, "upsampling": {"type": ["object", "null"]}, "discriminator": MAYBE_TEXT,
    "licence": TEXT, "scores": {"type": "array", "items": ANY_OBJECT}, "preview": MAYBE_TEXT,
}  # fmt: skip
_RUN = {
    "name": TEXT, "step": WHOLE, "images": WHOLE, "seconds": NUMBER, "diversity_ratio": MAYBE_NUMBER,
    "collapsed": YES_NO, "grids": {"type": "array", "items": WHOLE}, "url": TEXT,
}  # fmt: skip
_POINT: Schema = {"type": "array", "items": NUMBER}

COMPONENTS: dict[str, Schema] = {
    "Problem": record(
        ("errors",), type=TEXT, title=TEXT, status=WHOLE, detail=TEXT, instance=TEXT, errors=listing("ProblemError")
    ),
    "ProblemError": record(pointer=TEXT, detail=TEXT),
    "Envelope": record(
        ("notes",), id=TEXT, model=TEXT, created=WHOLE, provider=TEXT, data=listing("Picture"), notes=TEXTS,
        timing_ms={"type": "object", "additionalProperties": NUMBER},
    ),
    "Picture": record(
        index=WHOLE, seed=MAYBE_WHOLE, url=MAYBE_TEXT, b64_json=MAYBE_TEXT, width=WHOLE, height=WHOLE,
        label=MAYBE_TEXT, latent=MAYBE_TEXT, recipe=ANY_OBJECT,
    ),
    "Job": record(
        ("reason",), id=TEXT, op=TEXT, state={"enum": ["queued", "running", "succeeded", "failed", "canceled", "expired"]},
        queue_position=MAYBE_WHOLE, progress=record(done=NUMBER, total=NUMBER, unit=TEXT), attempts=WHOLE,
        model=MAYBE_TEXT, created_at=NUMBER, started_at=MAYBE_NUMBER, ended_at=MAYBE_NUMBER,
        error={"type": ["object", "null"]}, urls=record(self=TEXT, result=TEXT, events=TEXT, cancel=TEXT), reason=TEXT,
    ),
    "JobPage": page_of("Job"),
    "Latent": record(
        ("values",), name=TEXT, id=TEXT, model=TEXT, label=MAYBE_TEXT, tags=TEXTS, created=NUMBER, origin=TEXT,
        seed=MAYBE_WHOLE, expression=MAYBE_TEXT, parents=listing("Parent"), notes=ANY_OBJECT, url=TEXT,
        values={"type": "array", "items": NUMBER},
    ),
    "Parent": record(("gone",), id=TEXT, name=TEXT, gone=YES_NO),
    "LatentPage": page_of("Latent"),
    "Lineage": page_of("Parent"),
    "Imported": record(saved=WHOLE, skipped=WHOLE, renamed=WHOLE),
    "Direction": record(
        ("unit", "measured", "values"), name=TEXT, model=TEXT, origin=TEXT, shipped=YES_NO, length=MAYBE_NUMBER,
        url=TEXT, unit=TEXT, measured=ANY_OBJECT, values={"type": "array", "items": NUMBER},
    ),
    "DirectionPage": page_of("Direction"),
    "Classified": record(
        model=TEXT, kind={"enum": ["real", "classes"]}, p_real=NUMBER, label=MAYBE_TEXT,
        probabilities={"type": ["object", "null"], "additionalProperties": NUMBER},
    ),
    "Features": record(model=TEXT, size=WHOLE, features={"type": "array", "items": NUMBER}),
    "Model": record(**_MODEL),
    "ModelPage": record(
        data=listing("Model"), next_cursor=MAYBE_TEXT, default=MAYBE_TEXT, unloaded=TEXTS,
        refused={"type": "array", "items": ANY_OBJECT},
        limits={"type": "object", "additionalProperties": WHOLE},
    ),
    "ModelInFull": record(**_MODEL, manifest=ANY_OBJECT, card=MAYBE_TEXT),
    "Run": record(**_RUN),
    "RunPage": page_of("Run"),
    "RunWithCurves": record(
        **_RUN, curves={"type": "object", "additionalProperties": {"type": "array", "items": _POINT}}
    ),
}  # fmt: skip
