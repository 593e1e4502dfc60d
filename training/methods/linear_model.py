"""Linear models of a classifier's answers in latents, and how much of the answers they explain."""

from __future__ import annotations

import torch
from torch import Tensor


def normal_scores(values: Tensor) -> Tensor:
    """Values [n, k] -> the normal quantiles of their ranks, column by column: the order stays, the bends of logits go."""
    ranks = values.argsort(0).argsort(0)
    scores: Tensor = torch.special.ndtri((ranks + 0.5) / len(values))
    return scores.float()


def linear_model(latents: Tensor, answers: Tensor) -> Tensor:
    """Weights [Z, k] of the linear model of answers with the smallest squares."""
    weights: Tensor = torch.linalg.lstsq(latents, answers - answers.mean(0)).solution
    return weights


def linear_share(latents: Tensor, answers: Tensor) -> Tensor:
    """Share [k] of each answer's variance that a linear model of the latents explains."""
    centred = answers - answers.mean(0)
    missed = centred - latents @ linear_model(latents, answers)
    share: Tensor = 1.0 - missed.square().mean(0) / centred.square().mean(0)
    return share
