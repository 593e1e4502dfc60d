"""LitServe: an API with batching, one worker process a core."""

import litserve
from common import CORES, MAX_BATCH, PORT, Generator, answer
from fastapi.responses import Response


class Pictures(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.generator = Generator()

    def decode_request(self, request: dict) -> list[int]:
        return list(range(request["seed"], request["seed"] + request.get("n", 1)))

    def batch(self, inputs: list[list[int]]) -> list[list[int]]:
        return inputs

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def predict(self, requests: list[list[int]]) -> list[bytes]:
        pixels = self.generator.pictures([seed for seeds in requests for seed in seeds])
        answers, start = [], 0
        for seeds in requests:
            own = pixels[start : start + len(seeds)]
            start += len(seeds)
            answers.append(answer(own, self.generator.recipe(seeds[0]), len(seeds) > 16)[0])
        return answers

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/png")


if __name__ == "__main__":
    api = Pictures(max_batch_size=MAX_BATCH, batch_timeout=0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=CORES, timeout=120)
    server.run(host="127.0.0.1", port=PORT, log_level="error", generate_client_file=False)
