"""Training speed beside the plain PyTorch DCGAN example's loop: `python -m bench.training FOLDER_OR_ZIP`.

Same data in memory, same batch, same number of channels, same machine, blocks in turn. The example's loop is
pytorch/examples dcgan/main.py: float32, Adam, three backward passes, its losses read out every step.
A projected recipe is measured beside a plain loop of the same networks (`bench.training.projected`), one thread each.
`--recipe` is any of ours; `--set key=value …` overrides it as in `ganymede train`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.training.example import Example
from training import algorithms
from training.algorithms.base import Algorithm, Setting
from training.algorithms.projected import Projected
from training.compute.precision import with_hardware
from training.compute.randomness import StepRandom
from training.data.dataset import Dataset, Sampler, load_dataset
from training.recipes.recipe import Recipe
from training.recipes.resolve import resolve

Step = Callable[[int], object]


@dataclass
class Speed:
    """Pictures a second and CPU milliseconds a picture, a number a block."""

    name: str
    step: Step
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name:8} {statistics.median(self.rates):8.1f} images/s  {statistics.median(self.cpu):7.3f} CPU ms an image"


def main() -> None:
    """Images a second of both, block by block, and the ratio."""
    options = parser().parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wish = [f"data.path={options.data}", "data.limit=1000", *options.overrides]
    recipe = with_hardware(resolve(options.recipe, wish))
    data, _ = load_dataset(recipe.data)
    algorithm = algorithms.build(Setting(recipe, data.spec, device))
    batch = algorithm.pictures_per_step
    sampler = Sampler(len(data), batch, 0)
    ours = Speed("ours", step_of(algorithm, data, sampler))
    example = Speed("example", example_of(algorithm, recipe, data_of(data, sampler), device))
    for block in range(options.blocks + 1):
        for one in (ours, example):
            seconds, used = block_of(one.step, block * options.steps, options.steps, device)
            if block:  # the first one warms up
                one.rates.append(options.steps * batch / seconds)
                one.cpu.append(used / (options.steps * batch) * 1e3)
    ratio = statistics.median(a / b for a, b in zip(ours.rates, example.rates, strict=True))
    by_cpu = statistics.median(example.cpu) / statistics.median(ours.cpu)
    print(ours, example, sep="\n")
    print(f"ours / example: {ratio:.2f} by time, {by_cpu:.2f} by CPU time; batch {batch}, {device}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    found.add_argument("data")
    found.add_argument("--recipe", default="dcgan-modern")
    found.add_argument("--blocks", type=int, default=5)
    found.add_argument("--steps", type=int, default=5)
    found.add_argument("--threads", type=int, default=torch.get_num_threads())
    found.add_argument("--set", dest="overrides", nargs="*", default=[])
    return found


def step_of(algorithm: Algorithm, data: Dataset, sampler: Sampler) -> Step:
    """A step of ours, as the training loop takes it."""

    def step(k: int) -> object:
        random = StepRandom(0, k)
        return algorithm.step(data.batch(sampler.indices(k), random), random)

    return step


def example_of(algorithm: Algorithm, recipe: Recipe, batches: Callable[[int], Tensor], device: torch.device) -> Step:
    """The plain loop that an algorithm is measured beside."""
    if isinstance(algorithm, Projected):
        from bench.training.projected import ProjectedExample  # needs the extra `pretrained`

        return ProjectedExample(algorithm, batches)
    return Example(batches(0), batches, recipe.generator.width, device)


def data_of(data: Dataset, sampler: Sampler) -> Callable[[int], Tensor]:
    """Batches of the same data for the example's loop."""
    return lambda k: data.batch(sampler.indices(k), StepRandom(0, k)).pictures


def block_of(step: Step, start: int, count: int, device: torch.device) -> tuple[float, float]:
    """Seconds and CPU seconds of some steps, the device's work included."""
    started, used = time.perf_counter(), time.process_time()
    for k in range(start, start + count):
        step(k)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, time.process_time() - used


if __name__ == "__main__":
    main()
