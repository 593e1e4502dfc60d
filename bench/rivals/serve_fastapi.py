"""Plain FastAPI with the batcher most people write: a queue and a thread, batches of whatever waits; a process a core."""

import asyncio
import os
import queue
import socket
import threading

import uvicorn
from common import CORES, MAX_BATCH, PORT, Generator, answer
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel


class Sample(BaseModel):
    seed: int
    n: int = 1
    model: str | None = None


class Batcher:
    def __init__(self) -> None:
        self.generator = Generator()
        self.waiting: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while True:
            items = [self.waiting.get()]
            while sum(len(item[0]) for item in items) < MAX_BATCH and not self.waiting.empty():
                items.append(self.waiting.get())
            pixels = self.generator.pictures([seed for seeds, *_ in items for seed in seeds])
            start = 0
            for seeds, npy, future, loop in items:
                own = pixels[start : start + len(seeds)]
                start += len(seeds)
                result = answer(own, self.generator.recipe(seeds[0]), npy)
                loop.call_soon_threadsafe(future.set_result, result)

    async def ask(self, seeds: list[int], npy: bool) -> tuple[bytes, str]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.waiting.put((seeds, npy, future, loop))
        return await future


app = FastAPI()


@app.get("/")
async def ready() -> str:
    return "ready"


@app.post("/sample")
async def sample(body: Sample, request: Request) -> Response:
    seeds = list(range(body.seed, body.seed + body.n))
    data, media = await app.state.batcher.ask(seeds, request.headers.get("accept") == "application/x-npy")
    return Response(data, media_type=media)


def serve() -> None:
    app.state.batcher = Batcher()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", PORT))
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    for _ in range(CORES - 1):
        if os.fork() == 0:
            break
    serve()
