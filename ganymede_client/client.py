"""The client, written from aio.py by scripts/sync_client.py."""

import itertools
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, Unpack

import httpx

from ganymede_client import calls, options
from ganymede_client.calls import Call
from ganymede_client.errors import JobFailedError, TransportError, raise_for
from ganymede_client.results import Picture, Pictures, pictures_of, recipe_of
from ganymede_client.retry import busy, wait_s, worth_it

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

    def run(self, call: Call[T], *, patient: bool = False) -> T:
        """Send one call, with retries, and read its answer. `patient`: a server that is full is asked until it is not."""
        for attempt in itertools.count():
            response, failure = self._try(call)
            last = attempt >= self._retries and not (patient and busy(response))
            if response is not None and (last or not worth_it(response, call.repeatable)):
                return self._read(call, raise_for(response))
            if response is None and (last or not worth_it(None, call.repeatable)):
                raise TransportError(f"no answer from {self._http.base_url}: {failure}") from failure
            time.sleep(wait_s(attempt, response))
        raise AssertionError("the last attempt returns or raises")

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        """The answer; of a request so large that the server made a job of it, the job's result, once it is there."""
        if response.status_code != 202 or call.asynchronous:
            return call.read(response)
        job = Job(self, calls.document(response))
        job.finish()
        return self.run(calls.result(job.id, call))

    def _try(self, call: Call[Any]) -> tuple[httpx.Response | None, httpx.TransportError | None]:
        try:
            response = self._http.request(
                call.method,
                call.path,
                json=call.json,
                params=dict(call.params),
                headers=dict(call.headers),
                content=call.content,
            )
            return calls.untied(response), None
        except httpx.TransportError as error:
            return None, error

    def submit(self, call: Call[Any]) -> "Job":
        """Send a call of `ganymede_client.calls` as a job; the handle waits, cancels, follows."""
        return Job(self, self.run(calls.queued(call)))

    def sample(self, **request: Unpack[options.Sample]) -> Pictures:
        """POST /sample: pictures from seeds, saved latents or numbers."""
        return self.run(calls.sample(**request))

    def iter_samples(
        self, n: int, *, seed: int | None = None, part: int = 64, **request: Unpack[options.Generation]
    ) -> Iterator[Picture]:
        """POST /sample again and again: `n` pictures, any number, of seeds seed, seed+1, …; memory holds `part` of them.

        Without a seed one is drawn here. A full or loading server (429, 503) is asked again when it says, for as long as it
        takes; `save_as` and lists of latents are for `sample`.
        """
        first = secrets.randbelow(2**32) if seed is None else seed
        for start, count in calls.parts(first, n, part):
            for picture in self.run(calls.sample(n=count, seed=start, **request), patient=True):
                yield picture

    def arithmetic(self, expression: str | None = None, **request: Unpack[options.Arithmetic]) -> Pictures:
        """POST /arithmetic: `mean(a1, a2, a3) - mean(b1, b2, b3) + c`, or terms=…"""
        return self.run(calls.arithmetic(expression, **request))

    def interpolate(self, stops: Sequence[Any], **request: Unpack[options.Interpolate]) -> Pictures:
        """POST /interpolate: the frames of a walk through latents or seeds."""
        return self.run(calls.interpolate(stops, **request))

    def redo(self, file: bytes | Mapping[str, Any], **request: Unpack[options.Redo]) -> Pictures:
        """POST /redo: the pictures of a save file (its bytes, or the recipe inside), made again. ValueError without one."""
        return self.run(calls.redo(recipe_of(file), **request))

    def upsample(self, image: bytes, **request: Unpack[options.Upsample]) -> Pictures:
        """POST /upsample: the picture, sharpened level by level."""
        return self.run(calls.picture("/upsample", image, request))

    def project(self, image: bytes, **request: Unpack[options.Project]) -> Pictures:
        """POST /project: the latent whose picture is nearest; slow, so prefer `submit`."""
        return self.run(calls.picture("/project", image, request))

    def classify(self, image: bytes, **request: Unpack[options.Classify]) -> dict[str, Any]:
        """POST /classify: label probabilities and p(real)."""
        return self.run(calls.classify("/classify", image, request))

    def features(self, image: bytes, **request: Unpack[options.Classify]) -> dict[str, Any]:
        """POST /features: the discriminator's features."""
        return self.run(calls.classify("/features", image, request))

    def save_latent(self, name: str, source: Mapping[str, Any], **request: Unpack[options.Save]) -> dict[str, Any]:
        """POST /latents: source is {"seed": 7}, {"values": […]}, {"expression": "…"} or {"image": …}."""
        return self.run(calls.save_latent(name, source, **request))

    def latents(self, **filters: Unpack[options.Filters]) -> dict[str, Any]:
        """GET /latents: one page; filters are model, tag, q, cursor, limit."""
        return self.run(calls.get("/latents", **filters))

    def latent(self, name: str) -> dict[str, Any]:
        """GET /latents/{name} with its values."""
        return self.run(calls.get(f"/latents/{name}"))

    def lineage(self, name: str) -> dict[str, Any]:
        """GET /latents/{name}/lineage: what it was made from, nearest first."""
        return self.run(calls.get(f"/latents/{name}/lineage"))

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
        """GET /directions: shipped ones, then saved ones; filters are model, q, cursor, limit."""
        return self.run(calls.get("/directions", **filters))

    def create_direction(self, name: str, source: Mapping[str, Any], **request: Any) -> dict[str, Any]:
        """POST /directions: source is {"difference": …}, {"expression": …}, {"classifier": …} or {"pca": …}."""
        return self.run(calls.change("POST", "/directions", {"name": name, "from": dict(source), **request}))

    def direction(self, name: str, model: str | None = None) -> dict[str, Any]:
        """GET /directions/{name} with its values."""
        return self.run(calls.get(f"/directions/{name}", model=model))

    def delete_direction(self, name: str) -> None:
        """DELETE /directions/{name}."""
        self.run(calls.change("DELETE", f"/directions/{name}"))

    def models(self) -> dict[str, Any]:
        """GET /models."""
        return self.run(calls.get("/models"))

    def model(self, name: str) -> dict[str, Any]:
        """GET /models/{name}."""
        return self.run(calls.get(f"/models/{name}"))

    def preview(self, name: str) -> bytes:
        """GET /models/{name}/preview.png: the sheet that was drawn at export."""
        return self.run(calls.raw(f"/models/{name}/preview.png", "*/*"))

    def set_default(self, name: str, digest: str) -> dict[str, Any]:
        """PUT /models/{name}/default: which version the name alone stands for from now on (scope admin)."""
        return self.run(calls.change("PUT", f"/models/{name}/default", {"digest": digest}))

    def image(self, model: str, seed: int, format: str = "png", **query: Any) -> bytes:
        """GET /images/{model}/{file}: label, truncation, scale; format is png, webp, jpeg or npy."""
        return self.run(calls.raw(f"/images/{model}/{seed}.{format}", "*/*", **query))

    def jobs(self, **filters: Any) -> dict[str, Any]:
        """GET /jobs: newest first; filters are cursor, limit."""
        return self.run(calls.get("/jobs", **filters))

    def job(self, job_id: str) -> "Job":
        """GET /jobs/{job_id}: a handle that waits, cancels, follows."""
        return Job(self, self.run(calls.get(f"/jobs/{job_id}")))

    def dead_jobs(self, limit: int | None = None) -> dict[str, Any]:
        """GET /jobs/dead: jobs out of attempts, latest first (scope admin)."""
        return self.run(calls.get("/jobs/dead", limit=limit))

    def requeue(self, job_id: str) -> "Job":
        """POST /jobs/{job_id}/requeue: give a dead job its attempts back (scope admin)."""
        return Job(self, self.run(calls.change("POST", f"/jobs/{job_id}/requeue")))

    def training_runs(self) -> dict[str, Any]:
        """GET /training/runs: the latest first."""
        return self.run(calls.get("/training/runs"))

    def training_run(self, name: str) -> dict[str, Any]:
        """GET /training/runs/{name}: one run with its curves."""
        return self.run(calls.get(f"/training/runs/{name}"))

    def training_grid(self, name: str, step: int) -> bytes:
        """GET /training/runs/{name}/grids/{step}.png: the same seeds at every step."""
        return self.run(calls.raw(f"/training/runs/{name}/grids/{step}.png", "*/*"))

    def alive(self) -> dict[str, Any]:
        """GET /livez."""
        return self.run(calls.get("/livez"))

    def ready(self) -> dict[str, Any]:
        """GET /readyz; ServerError 503 while it loads or drains."""
        return self.run(calls.get("/readyz"))

    def metrics(self) -> str:
        """GET /metrics: Prometheus text."""
        return (self.run(calls.raw("/metrics", "*/*"))).decode()

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
        self.finish(timeout_s, every_s)
        return pictures_of(self.result())

    def finish(self, timeout_s: float = 600.0, every_s: float = 0.2) -> None:
        """Wait until it has succeeded. Raises JobFailedError, or TimeoutError."""
        end = time.monotonic() + timeout_s
        while (self.refresh())["state"] not in ENDED:
            if time.monotonic() > end:
                raise TimeoutError(f"job {self.id} is still {self.record['state']}")
            time.sleep(every_s)
        if self.record["state"] != "succeeded":
            raise JobFailedError(self.record)

    def result(self) -> dict[str, Any]:
        """GET /jobs/{job_id}/result as JSON."""
        return self._client.run(calls.get(f"/jobs/{self.id}/result"))

    def cancel(self) -> dict[str, Any]:
        """POST /jobs/{job_id}/cancel: stop it, queued or running; asking twice does no harm."""
        self.record = self._client.run(calls.change("POST", f"/jobs/{self.id}/cancel"))
        return self.record

    def events(self, last_event_id: str | None = None) -> Iterator[dict[str, Any]]:
        """GET /jobs/{job_id}/events from the beginning, or after `last_event_id`: dictionaries of id, event and data."""
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
