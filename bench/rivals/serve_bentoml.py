"""BentoML: one process a core with adaptive batching of pictures, and front workers that encode."""

import os
import sys

if __name__ == "__main__":  # `bentoml serve` must own the process
    port = os.environ["GANYMEDE_BENCH_PORT"]
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    command = ["bentoml", "serve", "serve_bentoml:Front", "--port", port, "--host", "127.0.0.1"]
    os.execvp(os.path.join(os.path.dirname(sys.executable), "bentoml"), command)

import bentoml
import numpy as np
from common import CORES, MAX_BATCH, Generator, answer
from starlette.requests import Request
from starlette.responses import Response


@bentoml.service(workers=CORES, traffic={"timeout": 120, "max_concurrency": 1024})
class Pictures:
    def __init__(self) -> None:
        self.generator = Generator()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=120_000)
    def pictures(self, seeds: np.ndarray) -> np.ndarray:
        return self.generator.pictures([int(seed) for seed in seeds])


async def sample(request: Request) -> Response:
    body = await request.json()
    front = request.app.state.front
    n, first = body.get("n", 1), body["seed"]
    parts = []
    for start in range(first, first + n, MAX_BATCH):  # a batch is the largest thing the inner service takes
        seeds = np.arange(start, min(start + MAX_BATCH, first + n))
        parts.append(await front.inner.to_async.pictures(seeds))
    pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    data, media = answer(pixels, front.recipe(first), request.headers.get("accept") == "application/x-npy")
    return Response(data, media_type=media)


from starlette.applications import Starlette  # noqa: E402
from starlette.routing import Route  # noqa: E402

web = Starlette(routes=[Route("/sample", sample, methods=["POST"])])


@bentoml.service(workers=CORES, traffic={"timeout": 120, "max_concurrency": 1024})
@bentoml.asgi_app(web, path="/v1")
class Front:
    inner = bentoml.depends(Pictures)

    def __init__(self) -> None:
        from common import read_bundle, Path

        self.bundle = read_bundle(Path(os.environ["GANYMEDE_BENCH_BUNDLE"]))
        web.state.front = self

    def recipe(self, seed: int) -> dict[str, object]:
        return {"version": 1, "op": "sample", "model": self.bundle.reference, "seed": seed}
