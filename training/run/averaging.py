"""The mean of several checkpoints' generators, as a run folder of its own (model soups, Wortsman et al. 2022).

Runs that began from the same weights lie in one valley: the mean of their averages may paint better than each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.errors import RunFolderError
from training.run import checkpoint, run_folder
from training.run.run_folder import RunFolder

State = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A checkpoint of a run, its newest where no step is named."""

    run: RunFolder
    step: int | None

    @classmethod
    def of(cls, word: str) -> Source:
        """`RUN` or `RUN@STEP`. Raises RunFolderError for a step that is no number."""
        path, _, step = word.rpartition("@") if "@" in Path(word).name else (word, "", "")
        if step and not step.isdecimal():
            raise RunFolderError(f"{word}: a run folder, or RUN@STEP with the step of a kept checkpoint")
        return cls(RunFolder(Path(path)), int(step) if step else None)


def average(sources: Sequence[Source], out: Path) -> RunFolder:
    """Writes the run folder `out`: the first source, its generators' averages replaced by the mean over all sources.

    It is exported, scored and trained on like any other; its recipe names what it is the mean of. Raises RunFolderError for
    fewer than two sources, where one is of another network, and where `out` is a run already.
    """
    if len(sources) < 2:
        raise RunFolderError("a mean is of two checkpoints or more")
    if RunFolder(out).recipe_file.exists():
        raise RunFolderError(f"'{out}' is there already; remove it or choose another name")
    found = [checkpoint.load(source.run.checkpoint_path(source.step)) for source in sources]
    first, recipe, facts = found[0], sources[0].run.recipe(), sources[0].run.facts()
    mean = _mean([_averages(one.algorithm) for one in found])
    names = [f"{source.run.path.name}@{one.step}" for source, one in zip(sources, found, strict=True)]
    recipe = recipe.model_copy(update={"run": recipe.run.model_copy(update={"mean_of": tuple(names)})})
    folder = run_folder.at(out, recipe)
    folder.write_facts(facts["classes"], facts["pictures"])
    checkpoint.save(folder.checkpoints, replace(first, algorithm=_with_averages(first.algorithm, mean)), keep=1)
    return folder


def _averages(state: State) -> dict[str, Tensor]:
    """The averages' tensors of a network or of all levels, by names that say which."""
    found = checkpoint.levels(state).items()
    return {f"{level}/{key}": tensor for level, part in found for key, tensor in part["average"].items()}


def _with_averages(state: State, mean: dict[str, Tensor]) -> State:
    changed = {
        level: {**part, "average": {key: mean[f"{level}/{key}"] for key in part["average"]}}
        for level, part in checkpoint.levels(state).items()
    }
    return changed.get("", {**state, **changed})


def _mean(found: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    shapes = [{key: tensor.shape for key, tensor in weights.items()} for weights in found]
    if any(shape != shapes[0] for shape in shapes):
        raise RunFolderError("these runs are of different networks; a mean is of checkpoints of the same one")
    return {key: _mean_of([weights[key] for weights in found]) for key in found[0]}


def _mean_of(tensors: Sequence[Tensor]) -> Tensor:
    """Counts (of batches a norm has seen) stay the first one's."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(tensors[0].dtype)
