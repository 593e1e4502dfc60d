"""Attributes that lie straight in latents because the generator learned so.

A classifier's answer to a picture is held to what a linear function of its latent foretells. The linear functions are the
regressions of the answers on latents as the generator is at first, and stay; the answer wished for is the one of the same rank
among the answers to real pictures, so shares and certainty become theirs, too. Sums of latents then do what they say. It is the
auxiliary classifier of a conditional generator (Odena et al. 2017; for numbers Ding et al. 2021) whose condition is a direction
of the latent.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from training.compute.randomness import StepRandom
from training.data.batch import DataSpec
from training.errors import RecipeError
from training.methods.linear_model import linear_model, normal_scores
from training.networks.attribute_classifier import Classifier, augmented, load_classifier

RANKS = 512  # quantiles that are kept of the answers to real pictures
SPREAD = 1.5  # deviations of attributes in latents that are spread: rare ones, and rare pairs, as often as common ones


class LinearAnswers:
    """A classifier's K answers, the direction [Z] of each in latents, and the quantiles of the answers to real pictures.

    First it looks (`look_at_real`, `look`), then `find` decides, then `loss` pulls.
    """

    def __init__(self, classifier: Classifier, device: torch.device) -> None:
        self.network = copy.deepcopy(classifier.net).requires_grad_(False).to(device)
        self._seen: dict[str, list[Tensor]] = {"real": [], "latents": [], "answers": []}
        self._found: dict[str, Tensor] = {}

    @classmethod
    def of(cls, file: Path, data: DataSpec, device: torch.device) -> LinearAnswers:
        """By a kept classifier. Raises DataError for another file, RecipeError where it takes other pictures than `data`'s."""
        classifier = load_classifier(file)
        net = classifier.net
        if (net.channels, net.size) != (data.channels, data.size):
            raise RecipeError(
                f"matching.attributes: the classifier takes {net.size}x{net.size} pictures of {net.channels} channels, "
                f"the generator paints {data.size}x{data.size} of {data.channels}"
            )
        return cls(classifier, device)

    @property
    def found(self) -> bool:
        """Whether `loss` may be asked."""
        return bool(self._found)

    @torch.no_grad()
    def look_at_real(self, pictures: Tensor) -> None:
        """Takes in the answers to real pictures [N, C, H, W] in [-1, 1]."""
        self._seen["real"].append(self.network(pictures))

    @torch.no_grad()
    def look(self, latents: Tensor, pictures: Tensor) -> None:
        """Takes in the answers to pictures that latents [N, Z] gave."""
        self._seen["latents"].append(latents)
        self._seen["answers"].append(self.network(pictures.clamp(-1, 1)))

    @torch.no_grad()
    def find(self) -> None:
        """Decides on directions and quantiles by all that was seen, and forgets that."""
        seen = {name: torch.cat(parts).cpu() for name, parts in self._seen.items()}
        # float64: the last digits of float32 depend on where in memory the numbers lie, and a killed run must end the same
        axes = linear_model(seen["latents"].double(), normal_scores(seen["answers"]).double())
        ranks = torch.linspace(0, 1, RANKS)
        found = {
            "axes": (axes / axes.norm(dim=0)).float(),
            "quantiles": torch.quantile(seen["real"], ranks, 0).T.contiguous(),
            "deviations": seen["real"].std(0),
        }
        device = self._seen["real"][0].device
        self._found = {name: tensor.to(device).contiguous() for name, tensor in found.items()}
        self._seen = {name: [] for name in self._seen}

    def wished(self, latents: Tensor) -> Tensor:
        """Answers [N, K] that the pictures of latents [N, Z] of a standard normal should get."""
        places = torch.special.ndtr(latents @ self._found["axes"]) * (RANKS - 1)
        low = places.long().clamp(0, RANKS - 2)
        rows = torch.arange(len(self._found["quantiles"]), device=latents.device)
        quantiles = self._found["quantiles"]
        return torch.lerp(quantiles[rows, low], quantiles[rows, low + 1], places - low)

    def spread(self, latents: Tensor) -> Tensor:
        """The latents [N, Z], moved along the directions alone until attributes are independent and `SPREAD` wide.

        Sums and directions lead to where seeds hardly come: to women with glasses, to blond men.
        """
        axes = self._found["axes"]
        foretold = latents @ axes
        wanted = SPREAD * latents @ _orthonormal(axes)  # as many independent normal numbers, of the same latents
        moved: Tensor = latents + torch.linalg.solve(axes.T @ axes, (wanted - foretold).T).T @ axes.T
        return moved

    def loss(self, latents: Tensor, pictures: Tensor, random: StepRandom) -> Tensor:
        """Mean Huber distance of answers from those wished for, in deviations of the real ones.

        Pictures are shifted, blurred and noised as the classifier's own were while it learned: what it says then is of faces.
        """
        answers = self.network(augmented(pictures.clamp(-1, 1), random.generator("matching.attributes")))
        deviations = self._found["deviations"]
        return F.huber_loss(answers / deviations, self.wished(latents) / deviations)

    def state(self) -> dict[str, Any]:
        """What continues it."""
        return {"seen": {name: list(parts) for name, parts in self._seen.items()}, "found": dict(self._found)}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from `state`."""
        self._seen, self._found = state["seen"], state["found"]


def _orthonormal(axes: Tensor) -> Tensor:
    """[Z, K]: what is nearest to the axes among K directions at right angles."""
    left, _, right = torch.linalg.svd(axes, full_matrices=False)
    nearest: Tensor = left @ right
    return nearest
