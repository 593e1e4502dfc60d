"""Forward passes on a GPU beside its roofline: `python -m bench.gpu BUNDLE`. Without a GPU it is a dry run on the CPU.

For batches 1 to 1024: torch eager in float32, float16 and bfloat16 (channels_last), the same replayed as a CUDA graph, and
ONNX Runtime with its inputs and outputs bound on the device. The roofline is a large matrix product in the same number format;
a picture's operations are counted from its convolutions. Ends with the largest difference to float32 in levels of 255
and the memory after each size.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from models.bundle import Bundle, read_bundle
from models.mathematics.latents import cut, draw
from models.runtimes.base import one_hot, to_pixels
from models.runtimes.graph_module import graph_module

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
Step = Callable[[], object]


def main() -> None:
    """One table."""
    found = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    found.add_argument("bundle", type=Path)
    found.add_argument("--largest", type=int, default=1024)
    found.add_argument("--seconds", type=float, default=1.0)
    options = found.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bundle = read_bundle(options.bundle)
    flop = flop_of(bundle)
    print(f"{device_name(device)}; {bundle.reference}: {flop / 1e9:.3f} GFLOP a picture" + dry(device))
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        roof = roofline(device, kind, options.seconds)
        print(f"\n{str(kind).removeprefix('torch.')}: matrix product {roof / 1e12:.2f} TFLOP/s")
        for batch in (b for b in BATCHES if b <= options.largest):
            for name, step in steps(bundle, device, kind, batch).items():
                rate = batch / best_s(step, device, options.seconds)
                share = f"{rate * flop / roof:6.1%} of the roofline{memory(device)}"
                print(f"  batch {batch:5} {name:14} {rate:12.0f} pictures/s  {share}")
        print(f"  largest difference to float32: {difference(bundle, device, kind)} of 255 levels")


def dry(device: str) -> str:
    """What a run without a GPU is worth."""
    return "" if device == "cuda" else "\nNo CUDA device: a dry run of the same code on the CPU, not a GPU result."


def device_name(device: str) -> str:
    """The card, or that there is none."""
    return torch.cuda.get_device_name() if device == "cuda" else "CPU"


def inputs(bundle: Bundle, batch: int) -> list[np.ndarray]:
    """Latents and labels of seeds 0 to batch-1 for the first level."""
    manifest = bundle.manifest
    found = [cut(manifest.latent, draw(manifest.latent, range(batch)))[0]]
    if manifest.levels[0].label and manifest.labels:
        found.append(one_hot([k % len(manifest.labels) for k in range(batch)], len(manifest.labels)))
    return [np.ascontiguousarray(x) for x in found]


def module_of(bundle: Bundle, device: str, kind: torch.dtype) -> nn.Module:
    """The first level in torch in a number format, channels last."""
    module: nn.Module = graph_module(bundle.path(bundle.manifest.levels[0].files.onnx_file)).to(device, kind)
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def steps(bundle: Bundle, device: str, kind: torch.dtype, batch: int) -> dict[str, Step]:
    """One forward pass of each candidate."""
    module = module_of(bundle, device, kind)
    arrays = [torch.from_numpy(x).to(device, kind) for x in inputs(bundle, batch)]

    @torch.inference_mode()
    def eager() -> Tensor:
        return module(*arrays)

    found: dict[str, Step] = {"torch": eager}
    if device == "cuda":
        found["torch graph"] = graphed(eager)
    if kind == torch.float32:
        found["onnxruntime"] = bound(bundle, device, batch)
    return found


def graphed(eager: Step) -> Step:
    """The same kernels recorded once and replayed: no launch costs."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            eager()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        eager()
    return graph.replay


def bound(bundle: Bundle, device: str, batch: int) -> Step:
    """ONNX Runtime without copies: inputs and output stay on the device."""
    providers = ["CUDAExecutionProvider"] if device == "cuda" else ["CPUExecutionProvider"]
    path = bundle.path(bundle.manifest.levels[0].files.onnx_file)
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    binding = session.io_binding()
    for name, array in zip([i.name for i in session.get_inputs()], inputs(bundle, batch), strict=True):
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
    binding.bind_output(session.get_outputs()[0].name, device, 0)
    return lambda: session.run_with_iobinding(binding)


def best_s(step: Step, device: str, seconds: float) -> float:
    """Seconds of one step, the best of several blocks that end with a synchronisation."""
    step()
    finish(device)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        started = time.perf_counter()
        for _ in range(5):
            step()
        finish(device)
        best = min(best, (time.perf_counter() - started) / 5)
    return best


def finish(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def roofline(device: str, kind: torch.dtype, seconds: float) -> float:
    """Operations a second of a large matrix product."""
    side = 8192 if device == "cuda" else 256  # a dry run need not be precise
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    return 2 * side**3 / best_s(lambda: a @ b, device, seconds)


def flop_of(bundle: Bundle) -> float:
    """Operations of one picture: two a weight and place of every (transposed) convolution and matrix product."""
    module = module_of(bundle, "cpu", torch.float32)
    arrays = [torch.from_numpy(x) for x in inputs(bundle, 1)]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(*arrays)
    return float(counter.get_total_flops())


def difference(bundle: Bundle, device: str, kind: torch.dtype) -> int:
    """Levels between a number format and float32 on the CPU, over 64 pictures."""
    pictures = []
    for where, how in (("cpu", torch.float32), (device, kind)):
        arrays = [torch.from_numpy(x).to(where, how) for x in inputs(bundle, 64)]
        with torch.inference_mode():
            pictures.append(to_pixels(module_of(bundle, where, how)(*arrays).float().cpu().numpy()).astype(int))
    return int(np.abs(pictures[0] - pictures[1]).max())


def memory(device: str) -> str:
    """Memory the process holds on the card."""
    return f"  {torch.cuda.memory_reserved() / 2**20:6.0f} MiB" if device == "cuda" else ""


if __name__ == "__main__":
    main()
