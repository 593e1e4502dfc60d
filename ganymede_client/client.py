"""The synchronous client."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from ganymede_client import calls
from ganymede_client.calls import Call
from ganymede_client.errors import JobFailedError, TransportError, raise_for
from ganymede_client.results import Pictures, pictures_of
from ganymede_client.retry import wait_s, worth_it

T = TypeVar("T")
ENDED = {"succeeded", "failed", "canceled", "expired"}


class Client:
    """A server. `api_key` is sent as a bearer token; `retries` bounds repeated tries of one call.

    Every method raises ServerError for a problem the server reports and TransportError when there is no answer.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"User-Agent": "ganymede-client"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)
        self._retries = retries

    def __enter__(self) -> "Client":
        """Open."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, call: Call[T]) -> T:
        """Send one call, with retries, and read its answer."""
        for attempt in range(self._retries + 1):
            response, failure = self._try(call)
            last = attempt == self._retries
            if response is not None and (last or not worth_it(response, call.repeatable)):
                return call.read(raise_for(response))
            if response is None and (last or not worth_it(None, call.repeatable)):
                raise TransportError(f"no answer from {self._http.base_url}: {failure}") from failure
            time.sleep(wait_s(attempt, response))
        raise AssertionError("the last attempt returns or raises")

    def _try(self, call: Call[Any]) -> tuple[httpx.Response | None, httpx.TransportError | None]:
        try:
            return self._http.request(
                call.method,
                call.path,
                json=call.json,
                params=dict(call.params),
                headers=dict(call.headers),
                content=call.content,
            ), None
        except httpx.TransportError as error:
            return None, error

    def submit(self, call: Call[Any]) -> "Job":
        """Send a call of `ganymede_client.calls` as a job; the handle waits, cancels, follows."""
        return Job(self, self.run(calls.queued(call)))

    def sample(self, **request: Any) -> Pictures:
        """POST /sample: model, n, seed, seeds, latents, label, truncation, save_as, …"""
        return self.run(calls.sample(**request))

    def arithmetic(self, expression: str | None = None, **request: Any) -> Pictures:
        """POST /arithmetic: `mean(a1, a2, a3) - mean(b1, b2, b3) + c`, or terms=…"""
        return self.run(calls.arithmetic(expression, **request))

    def interpolate(self, stops: Sequence[Any], **request: Any) -> Pictures:
        """POST /interpolate: the frames of a walk through latents or seeds."""
        return self.run(calls.interpolate(stops, **request))

    def upsample(self, image: bytes, **options: Any) -> Pictures:
        """POST /upsample: model, factor, seed, noise, faithful, variants, …"""
        return self.run(calls.picture("/upsample", image, **options))

    def project(self, image: bytes, **options: Any) -> Pictures:
        """POST /project: the latent whose picture is nearest; slow, so prefer `submit`."""
        return self.run(calls.picture("/project", image, **options))

    def classify(self, image: bytes, **options: Any) -> dict[str, Any]:
        """POST /classify: label probabilities and p(real)."""
        return self.run(calls.judge("/classify", image, **options))

    def features(self, image: bytes, **options: Any) -> dict[str, Any]:
        """POST /features: the discriminator's features."""
        return self.run(calls.judge("/features", image, **options))

    def save_latent(self, name: str, source: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """POST /latents: source is {"seed": 7}, {"values": […]}, {"expression": "…"} or {"image": …}."""
        return self.run(calls.save_latent(name, source, **options))

    def latents(self, **filters: Any) -> dict[str, Any]:
        """GET /latents: one page; filters are model, tag, q, cursor, limit."""
        return self.run(calls.get("/latents", **filters))

    def latent(self, name: str) -> dict[str, Any]:
        """GET /latents/{name} with its values."""
        return self.run(calls.get(f"/latents/{name}"))

    def change_latent(
        self, name: str, *, new_name: str | None = None, tags: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """PATCH /latents/{name}: rename, retag or both."""
        body = {k: v for k, v in {"name": new_name, "tags": tags}.items() if v is not None}
        return self.run(calls.change("PATCH", f"/latents/{name}", body))

    def delete_latent(self, name: str) -> None:
        """DELETE /latents/{name}."""
        self.run(calls.change("DELETE", f"/latents/{name}"))

    def export_latents(self, **filters: Any) -> bytes:
        """GET /latents/export: every saved latent as one file."""
        return self.run(calls.raw("/latents/export", "*/*", **filters))

    def import_latents(self, data: bytes, conflict: str = "refuse") -> dict[str, Any]:
        """POST /latents/import: what `export_latents` gave."""
        return self.run(calls.post_file("/latents/import", data, "application/x-ndjson", conflict=conflict))

    def directions(self, **filters: Any) -> dict[str, Any]:
        """GET /directions."""
        return self.run(calls.get("/directions", **filters))

    def create_direction(self, name: str, source: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """POST /directions."""
        return self.run(calls.change("POST", "/directions", {"name": name, "from": dict(source), **options}))

    def models(self) -> dict[str, Any]:
        """GET /models."""
        return self.run(calls.get("/models"))

    def model(self, name: str) -> dict[str, Any]:
        """GET /models/{name}."""
        return self.run(calls.get(f"/models/{name}"))

    def image(self, model: str, seed: int, format: str = "png", **options: Any) -> bytes:
        """GET /images/{model}/{seed}.{format}: label, truncation, scale."""
        return self.run(calls.raw(f"/images/{model}/{seed}.{format}", "*/*", **options))

    def jobs(self, **filters: Any) -> dict[str, Any]:
        """GET /jobs."""
        return self.run(calls.get("/jobs", **filters))

    def job(self, job_id: str) -> "Job":
        """A handle on a job."""
        return Job(self, self.run(calls.get(f"/jobs/{job_id}")))

    def stream(self, path: str, headers: Mapping[str, str]) -> Any:
        """An open streaming GET, as a context manager of httpx."""
        return self._http.stream("GET", path, headers=dict(headers))


class Job:
    """A job: `record` is what the server last said of it."""

    def __init__(self, client: Client, record: dict[str, Any]) -> None:
        self._client = client
        self.record = record

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self.record["id"])

    def refresh(self) -> dict[str, Any]:
        """Ask for the record again."""
        self.record = self._client.run(calls.get(f"/jobs/{self.id}"))
        return self.record

    def wait(self, timeout_s: float = 600.0, every_s: float = 0.2) -> Pictures:
        """The pictures, once it has succeeded. Raises JobFailedError, or TimeoutError."""
        end = time.monotonic() + timeout_s
        while (self.refresh())["state"] not in ENDED:
            if time.monotonic() > end:
                raise TimeoutError(f"job {self.id} is still {self.record['state']}")
            time.sleep(every_s)
        if self.record["state"] != "succeeded":
            raise JobFailedError(self.record)
        found = self.result()
        return pictures_of(found)

    def result(self) -> dict[str, Any]:
        """GET /jobs/{id}/result as JSON."""
        return self._client.run(calls.get(f"/jobs/{self.id}/result"))

    def cancel(self) -> dict[str, Any]:
        """Stop it, queued or running; asking twice does no harm."""
        self.record = self._client.run(calls.change("POST", f"/jobs/{self.id}/cancel"))
        return self.record

    def events(self, last_event_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Server-sent events from the beginning, or after `last_event_id`: dictionaries of id, event and data."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        with self._client.stream(f"/jobs/{self.id}/events", headers) as response:
            event: dict[str, Any] = {}
            for line in response.iter_lines():
                if not line and "data" in event:
                    yield event
                    event = {}
                elif ": " in line and not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    event[key] = json.loads(value) if key == "data" else value
