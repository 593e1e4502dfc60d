"""Training speed beside the plain PyTorch DCGAN example's loop: `python -m bench.training FOLDER_OR_ZIP`.

Same data in memory, same batch, same number of channels, same machine, blocks in turn. The example's loop is
pytorch/examples dcgan/main.py: float32, Adam, three backward passes, its losses read out every step.
A projected recipe is measured beside a plain loop of the same networks (`bench.training_projected`), one thread each.
`--recipe` is any of ours; `--set key=value …` overrides it as in `ganymede train`.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from training import algorithms
from training.algorithms.base import Setting
from training.algorithms.projected import Projected
from training.compute.precision import with_hardware
from training.compute.randomness import StepRandom
from training.data.dataset import Dataset, Sampler, load_dataset
from training.recipes.resolve import resolve

Step = Callable[[int], object]


def main() -> None:
    """Images a second of both, block by block, and the ratio."""
    found = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    found.add_argument("data")
    found.add_argument("--recipe", default="dcgan-modern")
    found.add_argument("--blocks", type=int, default=5)
    found.add_argument("--steps", type=int, default=5)
    found.add_argument("--threads", type=int, default=torch.get_num_threads())
    found.add_argument("--set", dest="overrides", nargs="*", default=[])
    options = found.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = with_hardware(
        resolve(options.recipe, [f"data.path={options.data}", "data.limit=1000", *options.overrides])
    )
    data, _ = load_dataset(recipe.data)
    algorithm = algorithms.build(Setting(recipe, data.spec, device))
    batch = algorithm.pictures_per_step
    sampler = Sampler(len(data), batch, 0)

    def ours(step: int) -> object:
        random = StepRandom(0, step)
        return algorithm.step(data.batch(sampler.indices(step), random), random)

    first = data.batch(sampler.indices(0), StepRandom(0, 0)).pictures
    batches = data_of(data, sampler)
    example: Step
    if isinstance(algorithm, Projected):
        from bench.training_projected import ProjectedExample  # needs the extra `pretrained`

        example = ProjectedExample(algorithm, batches)
    else:
        example = Example(first, batches, recipe.generator.width, device)
    rates: dict[str, list[float]] = {"ours": [], "example": []}
    cpu: dict[str, list[float]] = {"ours": [], "example": []}
    for block in range(options.blocks + 1):
        for name, step in (("ours", ours), ("example", example)):
            seconds, used = block_of(step, block * options.steps, options.steps, device)
            if block:  # the first one warms up
                rates[name].append(options.steps * batch / seconds)
                cpu[name].append(used / (options.steps * batch) * 1e3)
    for name in rates:
        print(
            f"{name:8} {statistics.median(rates[name]):8.1f} images/s  {statistics.median(cpu[name]):7.3f} CPU ms an image"
        )
    ratios = [a / b for a, b in zip(rates["ours"], rates["example"], strict=True)]
    by_cpu = statistics.median(cpu["example"]) / statistics.median(cpu["ours"])
    print(f"ours / example: {statistics.median(ratios):.2f} by time, {by_cpu:.2f} by CPU time; batch {batch}, {device}")


def block_of(step: Step, start: int, count: int, device: torch.device) -> tuple[float, float]:
    """Seconds and CPU seconds of some steps, the device's work included."""
    started, used = time.perf_counter(), time.process_time()
    for k in range(start, start + count):
        step(k)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, time.process_time() - used


def data_of(data: Dataset, sampler: Sampler) -> Callable[[int], Tensor]:
    """Batches of the same data for the example's loop."""
    return lambda k: data.batch(sampler.indices(k), StepRandom(0, k)).pictures


def generator(sizes: Sequence[int], channels: int) -> nn.Sequential:
    """The example's generator: 4x4 transposed convolutions with BatchNorm."""
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(100, sizes[0], 4, 1, 0, bias=False),
        nn.BatchNorm2d(sizes[0]),
        nn.ReLU(True),
    ]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(sizes[-1], channels, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(sizes: Sequence[int], channels: int) -> nn.Sequential:
    """The example's discriminator."""
    layers: list[nn.Module] = [nn.Conv2d(channels, sizes[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(sizes[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0))


class Example:
    """One step of the example's loop, called with the step's number."""

    def __init__(self, first: Tensor, batches: Callable[[int], Tensor], width: int, device: torch.device) -> None:
        steps = first.shape[2].bit_length() - 3
        widths = [width * 2**k for k in range(steps)]
        self.g = generator(widths[::-1], first.shape[1]).to(device)
        self.d = discriminator(widths, first.shape[1]).to(device)
        self.loss = nn.BCELoss()
        self.opt_g = torch.optim.Adam(self.g.parameters(), 2e-4, (0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.d.parameters(), 2e-4, (0.5, 0.999))
        self.batches, self.device = batches, device

    def __call__(self, k: int) -> tuple[float, ...]:
        real = self.batches(k).to(self.device)
        ones, zeros = torch.ones(len(real), device=self.device), torch.zeros(len(real), device=self.device)
        self.d.zero_grad()
        out = self.d(real)
        loss_real = self.loss(out, ones)
        loss_real.backward()
        fake = self.g(torch.randn(len(real), 100, 1, 1, device=self.device))
        loss_fake = self.loss(self.d(fake.detach()), zeros)
        loss_fake.backward()
        self.opt_d.step()
        self.g.zero_grad()
        loss_g = self.loss(self.d(fake), ones)
        loss_g.backward()
        self.opt_g.step()
        return out.mean().item(), loss_real.item() + loss_fake.item(), loss_g.item()


if __name__ == "__main__":
    main()
