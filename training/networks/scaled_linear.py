"""A weight-normalised linear layer that scales its answer instead of its weights: y = (x v^T) g / |v| + b.

The same function as torch's parametrisation, but the normalised matrix, its copy in bf16 and its gradient are never
written: for batches smaller than the layer is wide that was a third of a training step.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from training.networks.weight_norm import WEIGHT


class ScaledLinear(nn.Linear):
    """nn.Linear until it is weight-normalised, and again when it is evaluated or exported."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs] -> [N, outputs]."""
        if not (self.training and parametrize.is_parametrized(self, "weight")):
            return super().forward(x)
        gain, direction = (self.get_parameter(f"{WEIGHT}.original{index}") for index in (0, 1))
        return cast(Tensor, _Scaled.apply(x, direction, gain, self.bias))  # type: ignore[no-untyped-call]


class _Scaled(torch.autograd.Function):
    """Products in autocast's type where it is on; lengths, gains and the direction's gradient in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, v: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        kind = x.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else v.dtype
        x_low, v_low = x.to(low), v.to(low)
        length = torch.linalg.vector_norm(v, dim=1)
        scale = gain.squeeze(1) / length
        raw = x_low @ v_low.t()
        ctx.save_for_backward(x_low, v_low, v, raw, length, scale)
        ctx.taken = x.dtype
        return torch.addcmul(bias.to(low), raw, scale.to(low))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x_low, v_low, v, raw, length, scale = ctx.saved_tensors
        for_x, for_v, for_gain, for_bias = ctx.needs_input_grad
        scaled = grad * scale.to(grad.dtype)
        to_x = (scaled @ v_low).to(ctx.taken) if for_x else None
        if not (for_v or for_gain or for_bias):
            return to_x, None, None, None
        to_scale = (grad.float() * raw.float()).sum(0)
        to_v = _direction(scaled.t() @ x_low, v, -to_scale * scale / length.square()) if for_v else None
        to_gain = (to_scale / length).unsqueeze(1) if for_gain else None
        return to_x, to_v, to_gain, grad.sum(0, dtype=torch.float32) if for_bias else None


def _direction(product: Tensor, v: Tensor, along: Tensor) -> Tensor:
    """The part of the gradient that turns v: the product's, less what would only stretch it."""
    return product.to(v.dtype).addcmul_(v, along.unsqueeze(1))
