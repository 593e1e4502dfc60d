"""Minibatch discrimination (Salimans et al. 2016, section 3.2): the discriminator sees how alike its batch is.

M_i = f(x_i) T in R^{B x C};  c_b(i, j) = exp(-|M_ib - M_jb|_1);  o_b(i) = sum over j != i of c_b(i, j).
Real and generated batches are processed apart. In evaluation the sums are replaced by their running mean, a constant, so
that one picture's answer never depends on another's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MEMORY = 0.99  # share of the running mean kept by one batch


class MinibatchDiscrimination(nn.Module):
    """Features [N, F] -> [N, F + kernels]: the similarities to the rest of the batch, appended."""

    mean_similarity: Tensor

    def __init__(self, features: int, kernels: int, dims: int) -> None:
        super().__init__()
        self.kernels, self.dims = kernels, dims
        self.projection = nn.Linear(features, kernels * dims, bias=False)
        self.register_buffer("mean_similarity", torch.zeros(kernels))

    def forward(self, features: Tensor) -> Tensor:
        """[N, F] -> [N, F + kernels], float32 inside."""
        if self.training:
            similarity = self.similarity(features)
            with torch.no_grad():
                self.mean_similarity.lerp_(similarity.mean(0), 1.0 - MEMORY)
        else:
            similarity = self.mean_similarity.expand(features.shape[0], -1)
        return torch.cat([features, similarity.to(features.dtype)], 1)

    def similarity(self, features: Tensor) -> Tensor:
        """o [N, kernels] of a batch of features [N, F]; a picture is not compared with itself."""
        with torch.autocast(features.device.type, enabled=False):
            kernels = self.projection(features.float()).view(-1, self.kernels, self.dims)
            distance = (kernels.unsqueeze(0) - kernels.unsqueeze(1)).abs().sum(3)  # [N, N, B]
            similarity: Tensor = (-distance).exp().sum(1) - 1.0  # the 1 is exp(-0), the picture itself
        return similarity
