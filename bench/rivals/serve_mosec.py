"""mosec: its Rust front, dynamic batching over requests, one worker process a core."""

import os
import sys

from common import CORES, MAX_BATCH, PORT, Generator, answer, seeds_of
from mosec import Server, Worker

sys.argv[1:] = ["--port", str(PORT), "--address", "127.0.0.1", "--timeout", "120000", "--log-level", "error"]
os.environ.setdefault("MOSEC_TIMEOUT", "120000")


class Pictures(Worker):
    """Whole requests are batched, as mosec does; large ones are cut into batches by the generator."""

    resp_mime_type = "image/png"

    def __init__(self) -> None:
        self.generator = Generator()

    def deserialize(self, data: bytes) -> tuple[list[int], bool]:
        return seeds_of(data), False

    def serialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: list[tuple[list[int], bool]]) -> list[bytes]:
        pixels = self.generator.pictures([seed for seeds, _ in data for seed in seeds])
        answers, start = [], 0
        for seeds, npy in data:
            own = pixels[start : start + len(seeds)]
            answers.append(answer(own, self.generator.recipe(seeds[0]), npy or len(seeds) > 16)[0])
            start += len(seeds)
        return answers


if __name__ == "__main__":
    server = Server()
    server.append_worker(Pictures, num=CORES, max_batch_size=MAX_BATCH, max_wait_time=0)
    server.run()
