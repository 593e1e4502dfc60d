"""What the inputs and the output of a foreign graph are for: latents, a label, constants, and the picture."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from models.errors import ImportRefusedError
from models.imports.graphs.file import constants_of
from models.imports.options import Options
from models.imports.report import Report

Form = Literal["one-hot", "index"]
Shape = tuple[int | None, ...]
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
INTEGERS = (TensorProto.INT64, TensorProto.INT32)
LABEL_WORDS = ("label", "class", "cond", "one_hot", "onehot", "y", "c", "categor")
DEFAULTS = {"psi": 1.0, "truncation": 1.0, "strength": 1.0, "scale": 1.0, "alpha": 1.0}
KEEPS_INDICES = ("Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Gather", "Slice", "Expand")
"""Operators behind which a class index is still one; a Gather takes a column of indices."""
MAX_CLASSES = 10_000


@dataclass(frozen=True)
class Input:
    """One input of the graph: its element type, its shape with None for sides left open."""

    name: str
    type: int
    shape: Shape

    @property
    def per_row(self) -> Shape:
        """The shape without the batch axis."""
        return self.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of its values."""
        return helper.tensor_dtype_to_np_dtype(self.type)


@dataclass(frozen=True)
class Roles:
    """What each input is. `batch` is the number of pictures the graph was made for, 0 where it is free."""

    latents: tuple[Input, ...]
    label: Input | None
    form: Form
    classes: int
    constants: dict[str, NDArray[Any]]
    batch: int

    @property
    def size(self) -> int:
        """Numbers in the flat latent."""
        return sum(math.prod(side or 1 for side in one.per_row) for one in self.latents)

    def feed(self, vectors: NDArray[np.float32], labels: NDArray[np.float32] | None) -> dict[str, NDArray[Any]]:
        """The original graph's inputs for latents [n, size] and one-hot labels [n, classes]."""
        given: dict[str, NDArray[Any]] = dict(self.constants)
        start = 0
        for one in self.latents:
            width = math.prod(side or 1 for side in one.per_row)
            part = vectors[:, start : start + width]
            given[one.name] = part.reshape(len(vectors), *[side or 1 for side in one.per_row]).astype(one.dtype)
            start += width
        if self.label is not None and labels is not None:
            given[self.label.name] = self._label_values(labels)
        return given

    def _label_values(self, labels: NDArray[np.float32]) -> NDArray[Any]:
        assert self.label is not None
        if self.form == "one-hot":
            return labels.astype(self.label.dtype)
        indices = np.argmax(labels, 1).reshape(len(labels), *[1 for _ in self.label.per_row])
        return np.asarray(indices, self.label.dtype)


def inputs_of(model: ModelProto) -> list[Input]:
    """The real inputs of a graph."""
    return [_input(value) for value in model.graph.input]


def _input(value: ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    return Input(value.name, tensor.elem_type, tuple(side.dim_value or None for side in tensor.shape.dim))


def roles_of(model: ModelProto, options: Options, report: Report) -> Roles:
    """Tell the inputs apart: by what the user said, then by type and shape, then by name.

    Raises ImportRefusedError when no input can be the latent, or a size is left open and was not said.
    """
    inputs = inputs_of(model)
    unknown = sorted(set(options.input) - {one.name for one in inputs})
    if unknown:
        raise ImportRefusedError(f"there is no input {unknown[0]!r}; there are {_names(inputs)}")
    latents = _latents(inputs, options)
    label = _label(model, [one for one in inputs if one not in latents], options)
    rest = [one for one in inputs if one not in latents and one is not label]
    sized = tuple(_sized(one, options) for one in latents)
    batch = next((one.shape[0] for one in sized if one.shape and one.shape[0]), 0) or 0
    form: Form = "index" if label is not None and _is_index(label) else "one-hot"
    classes = 0 if label is None else _classes(model, label, form, options)
    roles = Roles(
        sized, label, form, classes, {one.name: _constant(one, options, batch, report) for one in rest}, batch
    )
    tell(roles, options, report)
    return roles


def _latents(inputs: list[Input], options: Options) -> list[Input]:
    said = [one for one in inputs if options.input.get(one.name) == "latent"]
    if said:
        return said
    open_ = [one for one in inputs if one.name not in options.input and _may_be_latent(one)]
    named = [one for one in open_ if not sounds_like_label(one.name)]
    if not (named or open_):
        raise ImportRefusedError(
            f"no input can be the latent (a float [n, z] or [n, z, 1, 1]); there are {_names(inputs)}; "
            "say it with --input NAME=latent, or use --kind upsample for a network from picture to picture"
        )
    return [max(named or open_, key=lambda one: math.prod(side or 1024 for side in one.per_row))]


def _may_be_latent(one: Input) -> bool:
    if one.type not in FLOATS or len(one.shape) not in (2, 3, 4):
        return False
    return (len(one.shape) == 2 and one.shape[1] != 1) or (
        len(one.shape) > 2 and all(side == 1 for side in one.shape[2:])
    )


def sounds_like_label(name: str) -> bool:
    """Whether an input's name is one that labels have."""
    last = name.lower().rsplit("/", 1)[-1].split(":")[0]
    return any(last == word or (len(word) > 1 and word in last) for word in LABEL_WORDS)


def _label(model: ModelProto, rest: list[Input], options: Options) -> Input | None:
    said = [one for one in rest if options.input.get(one.name) in ("one-hot", "index")]
    open_ = [one for one in rest if one.name not in options.input]
    whole = [one for one in open_ if one.type in INTEGERS and len(one.shape) in (1, 2) and sounds_like_label(one.name)]
    rows = [one for one in open_ if one.type in FLOATS and len(one.shape) == 2 and one.shape[1] != 1]
    rows = [one for one in rows if sounds_like_label(one.name) or one.shape[1]]
    looked_up = [one for one in open_ if one.type in INTEGERS and _rows_gathered(model, one.name) > 1]
    lone = [one for one in open_ if one.type in INTEGERS and len(one.shape) == 1 and one.shape != (1,)]
    return next(iter([*said, *whole, *looked_up, *rows, *lone]), None)


def _is_index(label: Input) -> bool:
    return label.type in INTEGERS and (len(label.shape) == 1 or label.shape[1] in (1, None))


def _sized(one: Input, options: Options) -> Input:
    """The latent with its open side filled in by `--latent`."""
    if all(one.per_row):
        return one
    if options.latent is None:
        raise ImportRefusedError(f"the graph leaves the size of {one.name!r} open; say it with --latent 100")
    sides = [side or (options.latent if k == 0 else 1) for k, side in enumerate(one.per_row)]
    return Input(one.name, one.type, (one.shape[0], *sides))


def _classes(model: ModelProto, label: Input, form: Form, options: Options) -> int:
    if form == "one-hot" and len(label.shape) == 2 and label.shape[1]:
        count = label.shape[1]
    else:
        count = _rows_gathered(model, label.name) or len(options.labels or ())
    if not count:
        raise ImportRefusedError(f"how many classes {label.name!r} takes cannot be read; name them with --labels")
    if not 2 <= count <= MAX_CLASSES:
        raise ImportRefusedError(f"{label.name!r} takes {count} classes; 2 to {MAX_CLASSES} can be served")
    if options.labels is not None and len(options.labels) != count:
        raise ImportRefusedError(f"{len(options.labels)} labels were named but the graph takes {count}")
    return count


def _rows_gathered(model: ModelProto, name: str) -> int:
    """How many rows the embedding has that the input is looked up in, or the depth of the OneHot made of it; else 0."""
    reached, constants = {name}, constants_of(model.graph)
    for node in model.graph.node:
        if node.op_type in ("Gather", "OneHot") and reached & set(node.input):
            table = constants.get(node.input[1 if node.op_type == "OneHot" else 0])
            if table is not None and node.op_type == "Gather" and node.input[1] in reached:
                return int(table.dims[0])
            if table is not None and node.op_type == "OneHot":
                return int(np.frombuffer(table.raw_data, np.int64)[0]) if table.raw_data else int(table.int64_data[0])
        if node.op_type in KEEPS_INDICES and node.input[0] in reached:
            reached |= set(node.output)
    return 0


def _constant(one: Input, options: Options, batch: int, report: Report) -> NDArray[Any]:
    """The fixed value of an input that is neither latent nor label."""
    said = options.input.get(one.name)
    shape = [side or 1 for side in one.shape]
    if math.prod(shape) > 1 << 20 or any(side is None for side in one.shape[1:]):
        raise ImportRefusedError(
            f"the input {one.name!r} of shape {_shape(one)} is neither a latent, a label nor a constant"
        )
    if one.type == TensorProto.STRING:
        value: Any = said or "const"
        array: NDArray[Any] = np.full(shape, value, object)
    else:
        value = _number(said, one) if said is not None else _default(one)
        array = np.full(shape, value, one.dtype)
    report.add(f"input {one.name}", f"constant {value}", "said" if said else "assumed")
    return array


def _default(one: Input) -> float:
    name = one.name.lower()
    return next((value for word, value in DEFAULTS.items() if word in name and one.type in FLOATS), 0)


def _number(said: str, one: Input) -> float:
    try:
        return {"true": 1.0, "false": 0.0}.get(said.lower()) or float(said if said.lower() != "false" else 0)
    except ValueError:
        raise ImportRefusedError(f"--input {one.name}={said}: not a number") from None


def tell(roles: Roles, options: Options, report: Report) -> None:
    """Report the latent, its law, the batch and the label."""
    names = ", ".join(f"{one.name} {_shape(one)}" for one in roles.latents)
    report.add("latent", f"{roles.size} numbers ({names})", "said" if options.latent else "file")
    said = "law" in options.model_fields_set
    report.add("latent law", options.law.replace("_", " "), "said" if said else "assumed")
    report.add("batch", f"fixed at {roles.batch}" if roles.batch else "free", "file")
    if roles.label is not None:
        report.add("label", f"{roles.classes} classes as {roles.form} ({roles.label.name})", "file")


def _shape(one: Input) -> str:
    return "[" + ", ".join(str(side or "n") for side in one.shape) + "]"


def _names(inputs: list[Input]) -> str:
    return ", ".join(f"{one.name} {_shape(one)}" for one in inputs) or "none"
