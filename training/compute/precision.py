"""Which device, which arithmetic: resolves "auto" once per run, and gives the autocast context of each step."""

from __future__ import annotations

import contextlib
import time

import torch

from training.errors import RecipeError
from training.recipes.recipe import Recipe


def resolve_device(wish: str) -> torch.device:
    """The device: "auto" is CUDA where there is one; asking for CUDA where there is none is an error."""
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise RecipeError("run.device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda" if wish == "cuda" or (wish == "auto" and available) else "cpu")


def resolve_precision(wish: str, device: torch.device) -> str:
    """bf16 or float32. "auto" takes bf16 on a GPU that has it, and on a CPU whichever a short trial finds faster."""
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return _faster_on_cpu() if _cpu_multiplies_bf16() else "float32"


def with_hardware(recipe: Recipe) -> Recipe:
    """The recipe with device and precision decided, so that a resumed run repeats the same arithmetic."""
    device = resolve_device(recipe.run.device)
    decided = {"device": device.type, "precision": resolve_precision(recipe.run.precision, device)}
    return recipe.model_copy(update={"run": recipe.run.model_copy(update=decided)})


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bf16 products with float32 master weights, or nothing."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _faster_on_cpu() -> str:
    """Having the instruction does not make bf16 faster: on some virtual machines it is half as fast as float32."""
    layer = torch.nn.Conv2d(64, 128, 4, 2, 1)
    pictures = torch.zeros(16, 64, 16, 16, requires_grad=True)
    seconds = {
        precision: min(_trial(layer, pictures, precision) for _ in range(4)) for precision in ("float32", "bf16")
    }
    return min(seconds, key=lambda precision: seconds[precision])


def _trial(layer: torch.nn.Module, pictures: torch.Tensor, precision: str) -> float:
    start = time.perf_counter()
    with autocast(precision, pictures.device):
        answer = layer(pictures)
    answer.float().sum().backward()
    return time.perf_counter() - start


def _cpu_multiplies_bf16() -> bool:
    flags = ("avx512_bf16", "amx_bf16", "bf16")  # x86 twice, then the Linux name on Arm
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            words = set(file.read().split())
    except OSError:
        return False
    return any(flag in words for flag in flags)
