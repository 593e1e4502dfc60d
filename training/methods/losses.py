"""The costs of the two players: pure functions of logits and pictures, no networks and no optimisers inside."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

DiscriminatorLoss = Callable[[Tensor, Tensor, float], Tensor]
GeneratorLoss = Callable[[Tensor], Tensor]


def nonsaturating_discriminator(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """-E[t log s(D(x)) + (1-t) log(1-s(D(x)))] - E[log(1-s(D(G(z))))]; t < 1 is one-sided label smoothing.

    Logits [N]. Goodfellow et al. 2014 for t = 1; Salimans et al. 2016, section 3.4 for t < 1 (fakes stay at 0).
    """
    on_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, real_target))
    return on_real + F.softplus(fake).mean()


def nonsaturating_generator(fake: Tensor) -> Tensor:
    """-E[log s(D(G(z)))]: the strong-gradient form every DCGAN code base uses."""
    return F.softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """E[max(0, 1-D(x))] + E[max(0, 1+D(G(z)))] (Miyato et al. 2018)."""
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """-E[D(G(z))]."""
    return -fake.mean()


def least_squares_discriminator(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """Half of E[(D(x)-1)^2] + E[D(G(z))^2], on logits moved so that 0 is undecided (Mao et al. 2017)."""
    return 0.5 * ((real - 1.0).square().mean() + (fake + 1.0).square().mean())


def least_squares_generator(fake: Tensor) -> Tensor:
    """Half of E[(D(G(z))-1)^2], fake target -1."""
    return 0.5 * (fake - 1.0).square().mean()


def relativistic_discriminator(real: Tensor, fake: Tensor, real_target: float = 1.0) -> Tensor:
    """E[softplus(D(G(z)) - D(x))] over pairs: logits of equal shape, a real and a generated picture at each place.

    Jolicoeur-Martineau 2019 and, with both gradient penalties, Huang et al. 2024 (R3GAN, section 2): only the difference
    counts, so a generator that gives up a part of the data is pulled back by the real pictures of that part.
    """
    return F.softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor) -> Tensor:
    """E[softplus(D(x) - D(G(z)))] over the same pairs; D(x) is a constant of the generator."""
    return F.softplus(real.detach() - fake).mean()


DISCRIMINATOR_LOSSES: dict[str, DiscriminatorLoss] = {
    "nonsaturating": nonsaturating_discriminator,
    "hinge": hinge_discriminator,
    "least_squares": least_squares_discriminator,
    "relativistic": relativistic_discriminator,
}
GENERATOR_LOSSES: dict[str, GeneratorLoss] = {
    "nonsaturating": nonsaturating_generator,
    "hinge": hinge_generator,
    "least_squares": least_squares_generator,
}


def needs_pairs(kind: str) -> bool:
    """Whether the generator's cost compares with the logits of real pictures."""
    return kind == "relativistic"


def generator_loss(kind: str, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """The generator's cost of that kind for logits of generated pictures; `real` is needed where `needs_pairs`."""
    if not needs_pairs(kind):
        return GENERATOR_LOSSES[kind](fake)
    if real is None:
        raise ValueError(f"the {kind} loss compares with logits of real pictures")
    return relativistic_generator(fake, real)


def zero_centred_penalty(logits: Tensor, inputs: Tensor) -> Tensor:
    """E[|grad_x D(x)|^2] for inputs [N, ...] that require grad; float32 only.

    On real pictures it is R1, on generated ones R2 (Mescheder et al. 2018); inputs may be features of pictures too.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def auxiliary_loss(class_logits: Tensor, one_hot: Tensor) -> Tensor:
    """Cross-entropy of the class head [N, K] against one-hot labels [N, K] (Odena et al. 2017).

    A row of zeros is a hidden label and costs nothing; the mean is over the others.
    """
    costs = F.cross_entropy(class_logits, one_hot, reduction="none")
    return costs.sum() / one_hot.sum().clamp(min=1)


def accuracy(logits: Tensor, real: bool) -> Tensor:
    """Share of logits [N] on the right side of zero, 0 … 1."""
    return ((logits > 0) if real else (logits < 0)).float().mean()


def feature_matching(real: Tensor, fake: Tensor, kind: str) -> Tensor:
    """|E f(x) - E f(G(z))| over features [N, F]: "squared" is the squared L2 norm, "l1" the mean of absolute values.

    Salimans et al. 2016, section 3.1 (squared), and their released CIFAR code (l1). Real features are a target: no
    gradient flows into them.
    """
    difference = real.detach().mean(0) - fake.mean(0)
    return difference.abs().mean() if kind == "l1" else difference.square().sum()


def log_z(class_logits: Tensor) -> Tensor:
    """log Z(x) = log sum_k exp l_k of K logits [N, K]: the real/fake logit of a K+1 classifier with l_{K+1} = 0."""
    return class_logits.logsumexp(1)


def unlabelled_real(class_logits: Tensor) -> Tensor:
    """-E log D(x) with D = Z/(Z+1), written -E log Z + E softplus(log Z): no overflow (Salimans et al. 2016, section 5)."""
    lse = log_z(class_logits)
    return (F.softplus(lse) - lse).mean()


def generated(class_logits: Tensor) -> Tensor:
    """-E log(1 - D(G(z))) = E softplus(log Z)."""
    return F.softplus(log_z(class_logits)).mean()
