"""Historical averaging against the plain mean of all past parameters."""

import torch
from torch import nn

from training.methods.history import HistoricalAverage


def test_penalty_is_the_squared_distance_to_the_mean_of_the_past() -> None:
    """After any number of moves: |theta - mean of the past|^2, and its gradient 2 (theta - mean)."""
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.randn(4, 3))
    history, past = HistoricalAverage([parameter]), []
    assert history.penalty() == 0
    for _ in range(7):
        past.append(parameter.detach().clone())
        history.remember()
        with torch.no_grad():
            parameter.add_(torch.randn(4, 3))
    distance = parameter - torch.stack(past).mean(0)
    assert torch.allclose(history.penalty(), distance.square().sum(), rtol=1e-5)
    (gradient,) = torch.autograd.grad(history.penalty(), parameter)
    assert torch.allclose(gradient, 2 * distance, rtol=1e-4, atol=1e-5)


def test_a_resumed_history_goes_on() -> None:
    """State out, state in: the same penalty."""
    parameter = nn.Parameter(torch.randn(5))
    history = HistoricalAverage([parameter])
    history.remember()
    twin = HistoricalAverage([nn.Parameter(torch.ones(5))])
    twin.load_state_dict(history.state_dict())
    assert twin.penalty() == (torch.ones(5) - parameter).square().sum()
