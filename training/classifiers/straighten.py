"""How a latent space is straightened: what a classifier says of many seeds is learned by a small network, and turns are
fitted behind which the same answers are as nearly linear as they can be.

Sums of latents then do what they say: a linear attribute of `a - b + c` is the attribute of a, less b's, and c's. No
picture changes; the latents they are at do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.classifiers.directions import Report, Study
from training.methods.linear_model import linear_model, linear_share, normal_scores
from training.networks.straightening import Straightening

HELD_OUT = 10  # every tenth seed chooses when the small network has learned enough
WIDTH = 512
BATCH = 512
RATE = 2e-3
ROUNDS = 12  # passes over the study at the most


@dataclass(frozen=True)
class Straightened:
    """The turns, and how much of each answer is linear: in the latent as it was, and behind the turns (shares 0 … 1)."""

    turns: Straightening
    before: dict[str, float]
    after: dict[str, float]


def straighten(found: Study, steps: int, report: Report, layers: int = 8, seed: int = 0) -> Straightened:
    """Fits turns to a study of 100,000 seeds and more in `steps` steps; the same seed gives the same but for last digits."""
    torch.manual_seed(seed)
    latents, answers = torch.from_numpy(found.latents), normal_scores(torch.from_numpy(found.logits))
    answer = learn_answers(latents, answers, report)
    turns = Straightening(latents.shape[1], layers)
    _fit(turns, answer, linear_model(latents, answers), steps, report)
    with torch.no_grad():
        straight = turns.inverse(latents)
    shares = (linear_share(x, answers).tolist() for x in (latents, straight))
    before, after = (dict(zip(found.names, (round(s, 4) for s in share), strict=True)) for share in shares)
    return Straightened(turns.eval(), before, after)


def learn_answers(latents: Tensor, answers: Tensor, report: Report) -> nn.Module:
    """A small network [n, Z] -> [n, k] that has learned the answers: cheap to ask and to differentiate.

    AdamW with a falling rate; it is kept as it was when it knew most of the held-out seeds.
    """
    held = torch.arange(len(latents)) % HELD_OUT == 0
    network = _network(latents.shape[1], answers.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.1)
    steps = max(1, ROUNDS * int((~held).sum()) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, kept = float("inf"), network.state_dict()
    for step, rows in enumerate(_batches(torch.nonzero(~held)[:, 0], steps), 1):
        _descend(optimiser, (network(latents[rows]) - answers[rows]).square().mean())
        schedule.step()
        if step % max(1, steps // ROUNDS) == 0:
            with torch.no_grad():
                missed = float((network(latents[held]) - answers[held]).square().mean())
            report(f"answers learned: {1 - missed:.1%} of what is held out")
            if missed < best:
                best, kept = missed, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    return network.requires_grad_(False)


def _network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, outputs)
    )


def _batches(rows: Tensor, count: int) -> Iterator[Tensor]:
    for _ in range(count):
        yield rows[torch.randint(len(rows), (BATCH,))]


def _fit(turns: Straightening, answer: nn.Module, linear: Tensor, steps: int, report: Report) -> None:
    """Turns and linear model together, on latents drawn anew for every step; the rate rises, then falls."""
    linear = nn.Parameter(linear.clone())
    optimiser = torch.optim.Adam([*turns.parameters(), linear], RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * RATE, total_steps=steps, pct_start=0.1)
    for step in range(1, steps + 1):
        straight = torch.randn(BATCH, len(linear))
        loss = (answer(turns(straight)) - straight @ linear).square().mean()
        _descend(optimiser, loss)
        schedule.step()
        if step % max(1, steps // 10) == 0:
            report(f"turned {step} of {steps} steps: {1 - loss.item():.1%} linear")


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
