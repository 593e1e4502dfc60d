"""Small generators in the layouts people have, trained a few steps so that BatchNorm's statistics are real.

Written from the projects' public descriptions: names of modules and shapes of weights are theirs, sizes are smaller.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NZ, CLASSES = 12, 5


def latents(count: int, size: int = NZ) -> Tensor:
    """Latents [count, size] of seeds 0, 1, …, as a bundle draws them."""
    rows = [np.random.RandomState(seed).standard_normal(size).astype(np.float32) for seed in range(count)]
    return torch.from_numpy(np.stack(rows))


def trained(module: nn.Module, picture: Callable[[Tensor], Tensor]) -> nn.Module:
    """Five steps towards a grey picture, then eval mode."""
    torch.manual_seed(1)
    optimiser = torch.optim.Adam(module.parameters(), 5e-3)
    for _ in range(5):
        loss = (picture(torch.randn(16, NZ)) - 0.4).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return module.eval()


class ExampleGenerator(nn.Module):
    """pytorch/examples and the dcgan_faces tutorial: `main.N`, transposed convolutions without bias, ReLU, Tanh."""

    def __init__(
        self, last_kernel: tuple[int, int, int] = (4, 2, 1), last_bias: bool = False, channels: int = 3
    ) -> None:
        super().__init__()
        f, (kernel, stride, padding) = 4, last_kernel
        self.main = nn.Sequential(
            nn.ConvTranspose2d(NZ, f * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(f * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(f * 4, f * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(f * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(f * 2, f, 4, 2, 1, bias=False),
            nn.BatchNorm2d(f),
            nn.ReLU(True),
            nn.ConvTranspose2d(f, channels, kernel, stride, padding, bias=last_bias),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z)


class UpsamplingGenerator(nn.Module):
    """PyTorch-GAN's DCGAN: `l1.0`, then `conv_blocks` with nearest upsampling; 0.8 where others have an epsilon."""

    def __init__(self, labels: int = 0) -> None:
        super().__init__()
        if labels:
            self.label_emb = nn.Embedding(labels, NZ)
        self.l1 = nn.Sequential(nn.Linear(NZ, 16 * 4 * 4))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(16),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 16, 3, stride=1, padding=1),
            nn.BatchNorm2d(16, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 8, 3, stride=1, padding=1),
            nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 1, 3, stride=1, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        z = z if label is None else self.label_emb(label) * z
        return self.conv_blocks(self.l1(z).view(-1, 16, 4, 4))


class MlpGenerator(nn.Module):
    """PyTorch-GAN's GAN and cGAN: `model.N` of linear layers, the label's embedding before the latent."""

    def __init__(self, labels: int = 0) -> None:
        super().__init__()
        if labels:
            self.label_emb = nn.Embedding(labels, labels)
        self.model = nn.Sequential(
            nn.Linear(NZ + labels, 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 64),
            nn.BatchNorm1d(64, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(64, 14 * 14),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        rows = z if label is None else torch.cat([self.label_emb(label), z], 1)
        return self.model(rows).view(-1, 1, 14, 14)


def example(**wishes: Any) -> ExampleGenerator:
    torch.manual_seed(0)
    made = ExampleGenerator(**wishes)
    trained(made, lambda z: made(z[:, :, None, None]))
    return made


def upsampling(labels: int = 0) -> UpsamplingGenerator:
    torch.manual_seed(0)
    made = UpsamplingGenerator(labels)
    trained(made, lambda z: made(z, torch.arange(len(z)) % labels if labels else None))
    return made


def mlp(labels: int = 0) -> MlpGenerator:
    torch.manual_seed(0)
    made = MlpGenerator(labels)
    trained(made, lambda z: made(z, torch.arange(len(z)) % labels if labels else None))
    return made


class StyleGenerator(nn.Module):
    """As StyleGAN 2 is described: a mapping, truncation towards its mean, a learned constant, convolutions whose weights the
    style modulates and which are one grouped convolution for the whole batch, constant noise, and pictures that add up.
    """

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mapping = nn.Sequential(nn.Linear(NZ, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.LeakyReLU(0.2))
        self.w_avg: Tensor
        self.register_buffer("w_avg", torch.randn(16) * 0.1)
        self.const = nn.Parameter(torch.randn(channels, 4, 4))
        self.affine = nn.ModuleList(nn.Linear(16, channels) for _ in range(3))
        self.weight = nn.ParameterList(torch.randn(channels, channels, 3, 3) * 0.3 for _ in range(3))
        for k in range(3):
            self.register_buffer(f"noise_const{k}", torch.randn(1, 1, 4 << k, 4 << k))
        self.to_rgb = nn.ModuleList(nn.Conv2d(channels, 3, 1) for _ in range(3))

    def forward(self, z: Tensor, truncation_psi: Tensor) -> Tensor:
        z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        w = self.w_avg.lerp(self.mapping(z), truncation_psi)
        picture: Tensor | None = None
        x = self.const[None].repeat(z.shape[0], 1, 1, 1)
        for k, (affine, weight, to_rgb) in enumerate(zip(self.affine, self.weight, self.to_rgb, strict=True)):
            if picture is not None:
                x, picture = (nn.functional.interpolate(one, scale_factor=2.0, mode="bilinear") for one in (x, picture))
            x = self._modulated(x, weight, affine(w) + 1) + 0.1 * getattr(self, f"noise_const{k}")
            x = nn.functional.leaky_relu(x, 0.2)
            picture = to_rgb(x) if picture is None else picture + to_rgb(x)
        assert picture is not None
        return picture

    def _modulated(self, x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        own = weight[None] * style[:, None, :, None, None]
        own = own * (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        grouped = x.reshape(1, n * channels, height, width)
        made = nn.functional.conv2d(grouped, own.reshape(n * channels, channels, 3, 3), padding=1, groups=n)
        return made.reshape(n, channels, height, width)
