"""Which device, which arithmetic: resolves "auto" once per run, and gives the autocast context of each step."""

from __future__ import annotations

import contextlib

import torch

from training.errors import RecipeError
from training.recipe_tables import Recipe


def resolve_device(wish: str) -> torch.device:
    """ "auto" is CUDA where there is one; asking for CUDA where there is none is an error."""
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise RecipeError("run.device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda" if wish == "cuda" or (wish == "auto" and available) else "cpu")


def resolve_precision(wish: str, device: torch.device) -> str:
    """ "auto" is bf16 where the processor multiplies in it (two to three times as fast there), else float32."""
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if _cpu_multiplies_bf16() else "float32"


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


def _cpu_multiplies_bf16() -> bool:
    flags = ("avx512_bf16", "amx_bf16", "bf16")  # x86 twice, then the Linux name on Arm
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            words = set(file.read().split())
    except OSError:
        return False
    return any(flag in words for flag in flags)
