"""Does the generator know training pictures by heart: the nearest training picture of samples, against that of real ones.

Features of a whole training set take minutes. A copy is near in colours already, so the nearest few by thumbnails (8x8)
are found first, mirrored ones too where the generator learned from them, and only those are compared by features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.dataset import Dataset
from training.pretrained import lite2

CHECKED = 150  # pictures of each kind
NEAR = 8  # training pictures by thumbnail that are compared by features
THUMBNAIL = 8  # pixels
PERCENT = 5
BLOCK = 4096


@dataclass(frozen=True)
class Closest:
    """For each picture: distance in features to the nearest training picture [N], and that picture [N, C, H, W]."""

    distance: Tensor
    pictures: Tensor


def of_samples(fake: Tensor, train: Dataset, mirrored: bool) -> Closest:
    """The nearest training pictures of samples [N, C, H, W]."""
    return nearest(fake[:CHECKED], train, _thumbnails(train), mirrored)


def of_real(real: Tensor, train: Dataset, mirrored: bool) -> Closest:
    """The nearest training pictures of real pictures [N, C, H, W], which may be training pictures: none is its own."""
    return nearest(real[:CHECKED], train, _thumbnails(train), mirrored, skip_same=True)


def suspicious(ours: Closest, theirs: Closest) -> float:
    """Share of samples that are nearer to a training picture than the nearest 5 % of real pictures are."""
    return float((ours.distance < theirs.distance.quantile(PERCENT / 100)).float().mean())


def nearest(
    pictures: Tensor, train: Dataset, thumbnails: Tensor, mirrored: bool = False, skip_same: bool = False
) -> Closest:
    """See Closest. `thumbnails` [M, C, 8, 8] of the training pictures; `skip_same`: leave out an identical picture."""
    chosen = _candidates(pictures, thumbnails, mirrored, skip_same)
    distinct, places = torch.unique(chosen, return_inverse=True)
    found = _features_of(distinct, train)
    distance = (lite2.features(pictures)[:, None] - found[places]).norm(dim=2)
    best = distance.argmin(1)
    picked = chosen[torch.arange(len(chosen)), best]
    return Closest(distance.amin(1), _pictures_of(picked, train))


def sheet(fake: Tensor, ours: Closest, rows: int) -> Tensor:
    """The samples nearest to a training picture, the nearest first, each beside that picture [2 * rows, C, H, W]."""
    order = ours.distance.argsort()[:rows]
    return torch.stack([fake[order], ours.pictures[order]], 1).flatten(0, 1)


def _candidates(pictures: Tensor, thumbnails: Tensor, mirrored: bool, skip_same: bool) -> Tensor:
    """Indices [N, NEAR] into the training pictures followed, where asked for, by their mirror images."""
    among = torch.cat([thumbnails, thumbnails.flip(3)]) if mirrored else thumbnails
    distances = torch.cdist(_small(pictures).flatten(1), among.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    if skip_same:
        distances[distances < 1e-4] = torch.inf
    return distances.topk(min(NEAR, len(among)), largest=False).indices


def _features_of(indices: Tensor, train: Dataset) -> Tensor:
    return torch.cat([lite2.features(_pictures_of(part, train)) for part in torch.split(indices, BLOCK)])


def _pictures_of(indices: Tensor, train: Dataset) -> Tensor:
    pictures = train.batch(indices % len(train)).pictures
    return torch.where((indices >= len(train))[:, None, None, None], pictures.flip(3), pictures)


def _thumbnails(train: Dataset) -> Tensor:
    places = torch.split(torch.arange(len(train)), BLOCK)
    return torch.cat([_small(train.batch(part).pictures) for part in places])


def _small(pictures: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(pictures, THUMBNAIL)
