"""Every endpoint as a description of one HTTP call; the sync and the async client only differ in who sends it."""

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, Unpack

import httpx

from ganymede_client.options import Arithmetic, Interpolate, Sample
from ganymede_client.results import Pictures, pictures_of

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """Method, path and content of a request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T_co]
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def asynchronous(self) -> bool:
        """Whether a job is what was asked for."""
        return "Prefer" in self.headers

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no harm: reads, and computations, which are pure functions of their request."""
        saves = isinstance(self.json, dict) and self.json.get("save_as")
        return (
            "Idempotency-Key" in self.headers
            or (not saves and not self.path.startswith(("/latents", "/directions")))
            or (self.method == "GET")
        )


def queued(call: Call[Any]) -> Call[dict[str, Any]]:
    """The same call as a job: the answer is the job's record, and a retry finds the same job."""
    headers = {**call.headers, "Prefer": "respond-async", "Idempotency-Key": uuid.uuid4().hex}
    return replace(call, headers=headers, read=document)


def result(job_id: str, call: Call[T]) -> Call[T]:
    """The result of a job, asked for and read like the answer of the call that became one."""
    accept = call.headers.get("Accept", "application/json")
    return Call("GET", f"/jobs/{job_id}/result", call.read, headers={"Accept": accept})


def parts(first: int, n: int, size: int) -> Iterator[tuple[int, int]]:
    """(seed, count) of every part of a large set: seeds first, first+1, … modulo 2^32, `size` at a time."""
    for start in range(0, n, size):
        yield (first + start) % 2**32, min(size, n - start)


def untied(response: httpx.Response) -> httpx.Response:
    """An answer that was read, without its stream.

    httpx ties the two to each other: the body would stay until the garbage collector comes, hundreds of bodies in a long set.
    """
    response.stream = httpx.ByteStream(b"")
    return response


def document(response: httpx.Response) -> dict[str, Any]:
    """A JSON object."""
    found: dict[str, Any] = response.json()
    return found


def _pictures(response: httpx.Response) -> Pictures:
    return pictures_of(response.json())


def _body(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _generate(path: str, fields: Mapping[str, Any]) -> Call[Pictures]:
    body = {**_body(fields), "response_format": "b64_json"}
    return Call("POST", path, _pictures, json=body, headers={"Accept": "application/json"})


def sample(**request: Unpack[Sample]) -> Call[Pictures]:
    """POST /sample."""
    return _generate("/sample", request)


def arithmetic(expression: str | None = None, **request: Unpack[Arithmetic]) -> Call[Pictures]:
    """POST /arithmetic."""
    return _generate("/arithmetic", {"expression": expression, **request})


def interpolate(stops: Sequence[Any], **request: Unpack[Interpolate]) -> Call[Pictures]:
    """POST /interpolate."""
    return _generate("/interpolate", {"stops": list(stops), **request})


def redo(recipe: Mapping[str, Any], source: bytes | None = None, **options: Any) -> Call[Pictures]:
    """POST /redo."""
    packed = None if source is None else base64.b64encode(source).decode()
    return _generate("/redo", {"recipe": dict(recipe), "source": packed, **options})


def encoded(call: Call[Any], media_type: str) -> Call[bytes]:
    """The same call, answered as one file: `image/png`, `image/webp`, `application/x-npz` …"""
    return replace(call, headers={**call.headers, "Accept": media_type}, read=lambda response: response.content)


def picture(path: str, image: bytes, options: Mapping[str, Any]) -> Call[Pictures]:
    """POST of a picture that gives pictures: /upsample, /project."""
    params = {**_body(options), "response_format": "b64_json"}
    headers = {"Accept": "application/json", "Content-Type": "application/octet-stream"}
    return Call("POST", path, _pictures, params=_query(params), headers=headers, content=image)


def classify(path: str, image: bytes, options: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """POST of a picture that gives numbers: /classify, /features."""
    headers = {"Accept": "application/json", "Content-Type": "application/octet-stream"}
    return Call("POST", path, document, params=_query(_body(options)), headers=headers, content=image)


def save_latent(name: str, source: Mapping[str, Any], **options: Any) -> Call[dict[str, Any]]:
    """POST /latents."""
    return Call("POST", "/latents", document, json=_body({"name": name, "from": dict(source), **options}))


def get(path: str, **params: Any) -> Call[dict[str, Any]]:
    """GET of a JSON document."""
    return Call("GET", path, document, params=_query(_body(params)), headers={"Accept": "application/json"})


def raw(path: str, accept: str, **params: Any) -> Call[bytes]:
    """GET of a file."""
    return Call(
        "GET", path, lambda response: response.content, params=_query(_body(params)), headers={"Accept": accept}
    )


def change(method: str, path: str, body: Any = None) -> Call[dict[str, Any]]:
    """PATCH, PUT, POST or DELETE with a JSON answer, or none."""
    return Call(method, path, lambda r: document(r) if r.content else {}, json=body)


def post_file(path: str, content: bytes, media_type: str, **params: Any) -> Call[dict[str, Any]]:
    """POST of a file with a JSON answer."""
    return Call(
        "POST", path, document, params=_query(_body(params)), headers={"Content-Type": media_type}, content=content
    )


def _query(params: Mapping[str, Any]) -> dict[str, Any]:
    return {k: str(v).lower() if isinstance(v, bool) else v for k, v in params.items()}
