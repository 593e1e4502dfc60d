"""Minibatch discrimination against the paper's formula, written out in loops."""

import torch

from training.networks.minibatch import MinibatchDiscrimination


def by_the_formula(layer: MinibatchDiscrimination, features: torch.Tensor) -> torch.Tensor:
    """o_b(i) = sum over j != i of exp(-|M_ib - M_jb|_1), M = f T."""
    m = (features @ layer.projection.weight.T).view(len(features), layer.kernels, layer.dims)
    rows = []
    for i in range(len(features)):
        others = [j for j in range(len(features)) if j != i]
        rows.append(
            torch.stack(
                [
                    torch.stack([(-(m[i, b] - m[j, b]).abs().sum()).exp() for j in others]).sum()
                    for b in range(layer.kernels)
                ]
            )
        )
    return torch.stack(rows)


def test_similarities_are_those_of_the_paper() -> None:
    """Five pictures, four kernels of three numbers: the layer and the double loop agree."""
    torch.manual_seed(0)
    layer, features = MinibatchDiscrimination(6, 4, 3), torch.randn(5, 6)
    out = layer.train()(features)
    assert torch.equal(out[:, :6], features)
    assert torch.allclose(out[:, 6:], by_the_formula(layer, features), atol=1e-6)


def test_a_batch_of_copies_is_seen() -> None:
    """Equal pictures are as similar as can be: N - 1 in every kernel."""
    layer = MinibatchDiscrimination(6, 4, 3).train()
    assert torch.allclose(layer(torch.ones(7, 6))[:, 6:], torch.full((7, 4), 6.0))


def test_evaluation_ignores_the_company() -> None:
    """In evaluation one picture's answer is the same alone and among others."""
    torch.manual_seed(0)
    layer, features = MinibatchDiscrimination(6, 4, 3), torch.randn(5, 6)
    layer.train()(features)
    layer.eval()
    together = layer(features)
    assert torch.equal(layer(features[2:3])[0], together[2])
    assert layer.mean_similarity.abs().sum() > 0
