"""Ray Serve: a replica a core, its own batching over requests, its HTTP proxy."""

import signal
import sys
import threading

import ray
from common import CORES, MAX_BATCH, PORT, Generator, answer, seeds_of
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(num_replicas=CORES, max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Pictures:
    def __init__(self) -> None:
        self.generator = Generator()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.0)
    async def run(self, requests: list[list[int]]) -> list[object]:
        pixels = self.generator.pictures([seed for seeds in requests for seed in seeds])
        found, start = [], 0
        for seeds in requests:
            found.append(pixels[start : start + len(seeds)])
            start += len(seeds)
        return found

    async def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return Response("ready")
        seeds = seeds_of(await request.body())
        npy = request.headers.get("accept") == "application/x-npy"
        data, media = answer(await self.run(seeds), self.generator.recipe(seeds[0]), npy)
        return Response(data, media_type=media)


if __name__ == "__main__":
    ray.init(num_cpus=CORES + 1, include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Pictures.bind(), route_prefix="/")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    serve.shutdown()
    ray.shutdown()
    sys.exit(0)
