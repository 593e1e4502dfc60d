"""The errors of the training package, drawn as a tree.

TrainingError
├── RecipeError       a recipe file, a key or a value is wrong; the text names the nearest known key
├── DataError         pictures that cannot be read or labelled, all reported together
├── RunFolderError    a run folder is missing, taken or belongs to another recipe
├── CheckpointError   a checkpoint cannot be read or does not fit the networks
├── DivergenceError   a loss is no longer a finite number
├── EvaluationError   a bundle or an extractor cannot be scored
└── ExportError       an exported file does not give the pictures the network gives
"""

from __future__ import annotations


class TrainingError(Exception):
    """Anything this package refuses to do; the text is meant for the person at the terminal."""


class RecipeError(TrainingError):
    """The recipe cannot be resolved."""


class DataError(TrainingError):
    """The data set cannot be used as it is."""


class RunFolderError(TrainingError):
    """The run folder cannot be made, found or resumed."""


class CheckpointError(TrainingError):
    """The checkpoint cannot be read or belongs to other networks."""


class DivergenceError(TrainingError):
    """Training produced a loss that is not finite."""


class ExportError(TrainingError):
    """An export differs from the network it was made of."""


class EvaluationError(TrainingError):
    """What was asked for cannot be scored."""
