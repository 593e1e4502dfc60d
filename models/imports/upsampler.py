"""Networks from picture to picture (`--kind upsample`): their factor, range and reach are measured; any size is served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, compose, helper, numpy_helper

from models.bundle import Bundle, write_manifest
from models.counting import counted
from models.errors import ImportRefusedError
from models.imports.card import write_card
from models.imports.graphs.file import checked, nodes_of, parse_onnx, read_onnx
from models.imports.graphs.mend import mend
from models.imports.graphs.value_range import BY_OPERATOR
from models.imports.graphs.wrap import PREFIX, forget_origin
from models.imports.options import Options
from models.imports.prove import ONE_STEP
from models.imports.recognise import Source
from models.imports.report import Report
from models.imports.session import Session
from models.imports.sheet import write_sheet
from models.imports.torch_modules import open_script_of_pictures
from models.manifest import ExportCheck
from models.runtimes import open_runtime
from models.runtimes.base import Array

SIDE = 32
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
FAITHFUL = 0.02
"""Mean difference, as a share of the range, at which a picture counts as come back."""
REACHES = (24, 64, 160, 257)
"""Distances in input pixels within which the reach of one pixel is looked for, the cheap ones first."""
LARGEST_HALO, LARGEST_FACTOR = 256, 8
TRIALS = 3


@dataclass(frozen=True)
class Upsampler:
    """What was measured of a network [n, channels, h, w] -> [n, channels, factor*h, factor*w]."""

    graph: ModelProto
    channels: int
    factor: int
    halo: int


def understand_upsampler(source: Source, options: Options, report: Report) -> Upsampler:
    """Open, free, run and dress the network. Raises ImportRefusedError."""
    model = _opened(source)
    mend(model, 1, report)
    name, channels = _picture_input(model)
    _free(model)
    session = Session(model)
    output = session.outputs[0]

    def run(picture: Array) -> Array:
        given = session.run({name: picture}, [output])[0]
        return np.asarray(given, np.float32)

    factor = _factor(run, channels)
    report.add("enlargement", f"{factor} times, {channels} channels ({name} -> {output})", "measured")
    likely = BY_OPERATOR.get(session.last_operator(output))
    low, high = _range(run, channels, factor, likely, options, report)
    graph = _dressed(model, name, output, channels, low, high)
    halo = _halo(Session(graph), channels, factor)
    report.add("reach", f"{halo} pixels of the small picture around a tile", "measured")
    return Upsampler(graph, channels, factor, halo)


def _opened(source: Source) -> ModelProto:
    if source.kind == "onnx":
        return read_onnx(source.path)
    if source.kind == "torchscript":
        return checked(parse_onnx(open_script_of_pictures(source.path, SIDE), "the graph"), "the exported graph")
    raise ImportRefusedError(
        "a network from picture to picture is read from ONNX or TorchScript; export it to one of them"
    )


def _picture_input(model: ModelProto) -> tuple[str, int]:
    inputs = list(model.graph.input)
    sides = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim] if inputs else []
    if len(inputs) != 1 or len(sides) != 4 or sides[1] not in (1, 3):
        raise ImportRefusedError("a network from picture to picture takes one input [n, 1 or 3, height, width]")
    return inputs[0].name, sides[1]


def _free(model: ModelProto) -> None:
    for value, names in ((model.graph.input[0], ("n", "h", "w")), (model.graph.output[0], ("n", "H", "W"))):
        sides = value.type.tensor_type.shape.dim
        for k, word in zip((0, 2, 3), names, strict=True):
            if len(sides) == 4:
                sides[k].dim_param = word


def _factor(run: Any, channels: int) -> int:
    """How many times larger what comes out is, the same for two shapes. Raises ImportRefusedError."""
    for height, width in ((SIDE, SIDE), (20, 36)):
        try:
            given = run(np.zeros((2, channels, height, width), np.float32))
        except ImportRefusedError as error:
            raise ImportRefusedError(f"the network does not take pictures of {height}x{width}: {error}") from None
        factor = given.shape[-1] // width
        if given.shape != (2, channels, factor * height, factor * width) or not 2 <= factor <= LARGEST_FACTOR:
            raise ImportRefusedError(
                f"{height}x{width} pixels became {list(given.shape)}; 2 to {LARGEST_FACTOR} times is served"
            )
    return int(factor)


def _range(
    run: Any, channels: int, factor: int, likely: tuple[float, float] | None, options: Options, report: Report
) -> tuple[float, float]:
    """The first range in which a smooth picture, made small again, comes back about as faithfully as in any.

    `likely`, that of the operator the network ends in, comes first. A network that scales with its input comes back in all
    of them; 0..1 is what such networks are trained on.
    """
    if options.range is not None:
        report.add("range", f"{options.range[0]:g}..{options.range[1]:g}", "said")
        return options.range
    rows = np.linspace(0.2, 0.8, SIDE, dtype=np.float32)
    share = np.broadcast_to((rows[:, None] * rows[None])[None, None], (1, channels, SIDE, SIDE))
    errors = {}
    for low, high in RANGES:
        given = run(np.ascontiguousarray(share * (high - low) + low, np.float32))
        small = given.reshape(1, channels, SIDE, factor, SIDE, factor).mean((3, 5))
        errors[low, high] = float(np.abs((small - low) / (high - low) - share).mean())
    if not np.isfinite(list(errors.values())).all():
        raise ImportRefusedError("the pictures hold values that are not finite (NaN or infinity)")
    good = max(FAITHFUL, 4 * min(errors.values()))
    best = next(one for one in ([likely] if likely else []) + list(RANGES) if errors[one] <= good)
    report.add("range", f"{best[0]:g}..{best[1]:g} (a smooth picture comes back to {errors[best]:.1%})", "measured")
    return best


def _dressed(model: ModelProto, name: str, output: str, channels: int, low: float, high: float) -> ModelProto:
    """The network as an any-size level: `previous` and an unused `noise` plane in, `picture` out, all in -1..1."""
    dressed = compose.add_prefix(model, PREFIX)
    graph = dressed.graph
    values = {"wrap/half": (high - low) / 2, "wrap/middle": (high + low) / 2}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), key) for key, value in values.items()
    )
    for node in nodes_of(graph):
        for k, given in enumerate(node.input):
            node.input[k] = "wrap/scaled" if given == PREFIX + name else given
    nodes = [
        helper.make_node("Mul", ["previous", "wrap/half"], ["wrap/wide"]),
        helper.make_node("Add", ["wrap/wide", "wrap/middle"], ["wrap/scaled"]),
        *graph.node,
        helper.make_node("Sub", [PREFIX + output, "wrap/middle"], ["wrap/centred"]),
        helper.make_node("Div", ["wrap/centred", "wrap/half"], ["picture"]),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    _name_ends(graph, channels)
    forget_origin(dressed)
    return dressed


def _name_ends(graph: GraphProto, channels: int) -> None:
    del graph.input[:], graph.output[:], graph.value_info[:]
    small: list[str | int | None] = ["n", channels, "h", "w"]
    graph.input.append(helper.make_tensor_value_info("previous", TensorProto.FLOAT, small))
    graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", 1, "H", "W"]))
    graph.output.append(helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", channels, "H", "W"]))


def _halo(session: Session, channels: int, factor: int) -> int:
    """How far a pixel reaches, in input pixels: it is changed, and where the result changes is looked at.

    Raises ImportRefusedError for networks that look at the whole picture, which cannot be computed in tiles.
    """
    for distance in REACHES:
        trials = counted(range(TRIALS), f"looks {distance} pixels around", TRIALS)
        reach = max(_reach(session, channels, factor, distance, trial) for trial in trials)
        if reach < distance - 1:
            if reach > LARGEST_HALO:
                break
            return reach
    raise ImportRefusedError(
        f"the network looks further than {LARGEST_HALO} pixels around; it cannot be computed in tiles"
    )


def _reach(session: Session, channels: int, factor: int, distance: int, trial: int) -> int:
    side, rng = 2 * distance + 1, np.random.RandomState(trial)
    before = rng.uniform(-1, 1, (1, channels, side, side)).astype(np.float32)
    after = before.copy()
    after[:, :, distance, distance] = -np.sign(after[:, :, distance, distance])
    changed = np.abs(_run(session, before, factor) - _run(session, after, factor)).max((0, 1)) > 0
    rows, columns = np.nonzero(changed.any(1))[0], np.nonzero(changed.any(0))[0]
    if not len(rows):
        return 0
    middle = factor * distance
    ends = (rows[0], columns[0], 2 * middle + factor - 1 - rows[-1], 2 * middle + factor - 1 - columns[-1])
    return int(np.ceil((middle - min(ends)) / factor))


def _run(session: Session, previous: Array, factor: int) -> Array:
    count, _, height, width = previous.shape
    noise = np.zeros((count, 1, factor * height, factor * width), np.float32)
    return np.asarray(session.run({"previous": previous, "noise": noise}, ["picture"])[0], np.float32)


def write_upsampler(
    upsampler: Upsampler, folder: Path, name: str, options: Options, provenance: dict[str, Any], report: Report
) -> None:
    """Write and prove the bundle in `folder`. Raises ImportRefusedError when tiles differ from the whole."""
    (folder / "level-0.onnx").write_bytes(upsampler.graph.SerializeToString(deterministic=True))
    fields = _fields(upsampler, name, options, provenance)
    check, pictures = _prove(write_manifest(folder, fields), upsampler)
    report.add("in tiles", "the same as whole", "measured")
    write_sheet(folder / "preview.png", pictures)
    facts = provenance["recipe"]["import"] | {"understood": report.as_json()}
    fields |= {"export_checks": (check,), "provenance": provenance | {"recipe": {"import": facts}}}
    write_card(folder / "README.md", write_manifest(folder, fields).manifest)
    write_manifest(folder, fields)


def _fields(upsampler: Upsampler, name: str, options: Options, provenance: dict[str, Any]) -> dict[str, Any]:
    factor, side = upsampler.factor, SIDE * upsampler.factor
    level = {
        "previous": (SIDE, SIDE),
        "output": (side, side),
        "factor": factor,
        "halo": upsampler.halo,
        "files": {"onnx": "level-0.onnx"},
    }
    return {
        "name": name,
        "family": "imported",
        "description": options.description or f"Enlarges pictures {factor} times; imported",
        "image": {"width": side, "height": side, "channels": upsampler.channels},
        "latent": {"distribution": "standard_normal", "size": 0, "cuts": ()},
        "levels": [level],
        "upsampling": {
            "kind": "any-size",
            "max_factor": factor**2 if factor**2 <= 16 else factor,
            "operator": "half-pixel",
        },
        "provenance": provenance,
    }


def _prove(bundle: Bundle, upsampler: Upsampler) -> tuple[ExportCheck, Array]:
    """A tile with its halo gives what the whole picture gives there; a picture alone what it gives in company."""
    halo, factor = upsampler.halo, upsampler.factor
    rng, side = np.random.RandomState(0), 2 * halo + 24
    whole = rng.uniform(-1, 1, (2, upsampler.channels, side, side)).astype(np.float32)
    runtime = open_runtime(bundle, "onnx")
    try:
        wanted = runtime.run_level(0, whole, _plane(whole, factor), None)
        tile = np.ascontiguousarray(whole[:1, :, 8:, 8:])
        given = runtime.run_level(0, tile, _plane(tile, factor), None)
    finally:
        runtime.close()
    inside = slice(halo * factor, None)
    theirs = wanted[:1, :, 8 * factor :, 8 * factor :][..., inside, inside]
    difference = float(np.abs(np.clip(given[..., inside, inside], -1, 1) - np.clip(theirs, -1, 1)).max())
    if not difference <= ONE_STEP:
        raise ImportRefusedError(
            "a tile of a picture differs from the whole: the network takes statistics of the picture"
        )
    return ExportCheck(file="level-0.onnx in tiles", max_abs_difference=difference), wanted


def _plane(previous: NDArray[np.float32], factor: int) -> Array:
    count, _, height, width = previous.shape
    return np.zeros((count, 1, factor * height, factor * width), np.float32)
