"""ONNX operators in torch: those that the graphs of our bundles use, differentiable in their inputs.

A value is a tensor, or, where it says a shape or a choice of axes, a plain list of whole numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.errors import RuntimeUnavailableError

Value = Any  # torch.Tensor | list[int] | None; torch is optional here
Attributes = Mapping[str, Any]
Operator = Callable[[Any, Sequence[Value], Attributes], Value]
"""`(torch, inputs, attributes)` -> output."""


def operator(kind: str) -> Operator:
    """The operator of that ONNX name. Raises RuntimeUnavailableError for one that is not here."""
    if kind not in OPERATORS:
        raise RuntimeUnavailableError(f"the graph uses {kind}, which is not known to the conversion to torch")
    return OPERATORS[kind]


def _conv(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    picture, weight, bias = (*x, None)[:3]
    sides = weight.dim() - 2
    pads = list(a.get("pads", [0] * 2 * sides))
    if pads[:sides] != pads[sides:]:
        picture, pads = _padded(torch, picture, pads), [0] * sides
    where = (a.get("strides", [1] * sides), pads[:sides], a.get("dilations", [1] * sides))
    return _convolve(torch, sides, "")(picture, weight, bias, *where, a.get("group", 1))


def _conv_transpose(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    picture, weight, bias = (*x, None)[:3]
    sides = weight.dim() - 2
    pads = list(a.get("pads", [0] * 2 * sides))
    more = [extra + first - last for extra, first, last in zip(
        a.get("output_padding", [0] * sides), pads[:sides], pads[sides:], strict=True)]  # fmt: skip
    rest = (a.get("strides", [1] * sides), pads[:sides], more, a.get("group", 1), a.get("dilations", [1] * sides))
    return _convolve(torch, sides, "_transpose")(picture, weight, bias, *rest)


def _convolve(torch: Any, sides: int, kind: str) -> Any:
    return getattr(torch.nn.functional, f"conv{kind}{sides}d")


def _padded(torch: Any, x: Value, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Value:
    """ONNX gives all beginnings, then all ends; torch pairs from the last axis on."""
    axes = len(pads) // 2
    pairs = [side for k in reversed(range(axes)) for side in (pads[k], pads[k + axes])]
    while len(pairs) > 2 and mode != "constant" and pairs[-2:] == [0, 0]:
        pairs = pairs[:-2]  # torch's other modes take the axes of pictures only
    names = {"edge": "replicate", "reflect": "reflect", "constant": "constant"}
    return torch.nn.functional.pad(x, pairs, names[mode], value if mode == "constant" else None)


def _pad(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    value = float(x[2]) if len(x) > 2 and x[2] is not None else 0.0
    return _padded(torch, x[0], x[1], a.get("mode", "constant"), value)


def _gemm(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    left = x[0].T if a.get("transA") else x[0]
    right = x[1].T if a.get("transB") else x[1]
    product = left @ right * a["alpha"] if a.get("alpha", 1.0) != 1.0 else left @ right
    if len(x) < 3 or x[2] is None:
        return product
    return product + (x[2] * a["beta"] if a.get("beta", 1.0) != 1.0 else x[2])


def _reshape(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    sides = x[0].shape
    return x[0].reshape([sides[k] if side == 0 and not a.get("allowzero") else side for k, side in enumerate(x[1])])


def _concat(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    if all(isinstance(part, list) for part in x):
        return [number for part in x for number in part]
    return torch.cat(list(x), a["axis"])


def _unknown(kind: str) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(f"the graph uses {kind} in a way that is not known to the conversion to torch")


def _slice(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    """Stretches of tensors, forwards, at places that the graph names."""
    axes = x[3] if len(x) > 3 and x[3] is not None else range(len(x[1]))
    steps = x[4] if len(x) > 4 and x[4] is not None else [1] * len(x[1])
    if isinstance(x[0], list) or not all(isinstance(part, list) for part in (x[1], x[2], steps)) or min(steps) < 1:
        raise _unknown("Slice")
    where = [slice(None)] * x[0].dim()
    for axis, start, end, step in zip(axes, x[1], x[2], steps, strict=True):
        where[axis] = slice(start, end, step)
    return x[0][tuple(where)]


def _gather(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    """Entries of an axis by a list of places. One place, or a table of them, would change the number of axes: not known here."""
    if not isinstance(x[1], list) or len(x[1]) < 2 or isinstance(x[0], list):
        raise _unknown("Gather")
    return x[0].index_select(a.get("axis", 0), torch.tensor(x[1], device=x[0].device))


def _shape(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    return [x[0].shape[k] for k in range(x[0].dim())][a.get("start", 0) : a.get("end")]


def _filled(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    value = a.get("value")
    return torch.full(tuple(x[0]), 0.0 if value is None else float(value.reshape(-1)[0]))


def _depth_to_space(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    if a.get("mode", "DCR") == "CRD":
        return torch.nn.functional.pixel_shuffle(x[0], a["blocksize"])
    count, channels, height, width = x[0].shape
    block = a["blocksize"]
    parts = x[0].reshape(count, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(count, channels // block**2, height * block, width * block)


def _resize(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    """Pictures [n, c, h, w] enlarged: whole numbers of times by nearest neighbour, or bilinearly between centres or corners."""
    picture, mode, places = x[0], a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    if len(x) > 3 and x[3] is not None:
        sides = [int(side) for side in x[3]]
    else:
        sides = [int(side * float(scale)) for side, scale in zip(picture.shape, x[2], strict=True)]
    scaled = torch.nn.functional.interpolate
    if mode == "nearest" and all(new % old == 0 for new, old in zip(sides, picture.shape, strict=True)):
        return scaled(picture, size=sides[2:], mode="nearest")
    if mode == "linear" and places in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return scaled(picture, size=sides[2:], mode="bilinear", align_corners=places == "align_corners")
    raise RuntimeUnavailableError(
        f"the graph uses Resize ({mode}, {places}), which is not known to the conversion to torch"
    )


def _squeeze(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    return x[0].squeeze(tuple(x[1])) if len(x) > 1 else x[0].squeeze()


def _unsqueeze(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    for axis in sorted(x[1]):
        x = (x[0].unsqueeze(axis), x[1])
    return x[0]


def _reduce(name: str) -> Operator:
    def run(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
        axes = x[1] if len(x) > 1 and x[1] is not None else list(range(x[0].dim()))
        return getattr(torch, name)(x[0], tuple(axes), bool(a.get("keepdims", 1)))

    return run


def _mean_of_pictures(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    return x[0].mean(tuple(range(2, x[0].dim())), True)


def _norm(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    picture, scale, shift, mean, variance = x
    return torch.nn.functional.batch_norm(
        picture, mean, variance, scale, shift, training=False, eps=a.get("epsilon", 1e-5)
    )


def _cast(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    kinds = {1: torch.float32, 9: torch.bool, 10: torch.float16, 7: torch.int64, 11: torch.float64}
    return x[0] if isinstance(x[0], list) else x[0].to(kinds[a["to"]])


def _clip(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
    low, high = ((*x[1:], None, None))[:2]
    return x[0].clamp(low, high)


def _pairwise(on_tensors: Callable[[Any, Any], Any]) -> Operator:
    """Arithmetic on tensors, or number by number on shapes."""

    def run(torch: Any, x: Sequence[Value], a: Attributes) -> Value:
        left, right = x
        if isinstance(left, list) and isinstance(right, list):
            longest = max(len(left), len(right))
            pairs = zip(left * (longest // len(left)), right * (longest // len(right)), strict=True)
            return [on_tensors(one, other) for one, other in pairs]
        return on_tensors(left, right)

    return run


def _divide(left: Any, right: Any) -> Any:
    floats = hasattr(left, "is_floating_point") and left.is_floating_point()
    return left / right if floats or isinstance(right, float) else left // right


def _of_one(name: str) -> Operator:
    return lambda torch, x, a: getattr(torch, name)(x[0])


OPERATORS: dict[str, Operator] = {
    "Add": _pairwise(lambda left, right: left + right),
    "BatchNormalization": _norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Div": _pairwise(_divide),
    "Exp": _of_one("exp"),
    "Flatten": lambda torch, x, a: x[0].flatten(a.get("axis", 1)),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _mean_of_pictures,
    "Greater": lambda torch, x, a: x[0] > x[1],
    "Identity": lambda torch, x, a: x[0],
    "LeakyRelu": lambda torch, x, a: torch.nn.functional.leaky_relu(x[0], a.get("alpha", 0.01)),
    "MatMul": lambda torch, x, a: x[0] @ x[1],
    "Mul": _pairwise(lambda left, right: left * right),
    "Neg": _of_one("neg"),
    "Pad": _pad,
    "Pow": lambda torch, x, a: x[0] ** x[1],
    "ReduceMax": _reduce("amax"),
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "Relu": _of_one("relu"),
    "Reciprocal": _of_one("reciprocal"),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": _of_one("sigmoid"),
    "Slice": _slice,
    "Softplus": lambda torch, x, a: torch.nn.functional.softplus(x[0]),
    "Sqrt": _of_one("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _pairwise(lambda left, right: left - right),
    "Tanh": _of_one("tanh"),
    "Transpose": lambda torch, x, a: x[0].permute(tuple(a["perm"])),
    "Unsqueeze": _unsqueeze,
    "Where": lambda torch, x, a: torch.where(x[0], x[1], x[2]),
}
