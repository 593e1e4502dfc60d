"""The plain PyTorch DCGAN example's loop: pytorch/examples dcgan/main.py, its losses read out every step."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


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
