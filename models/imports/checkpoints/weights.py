"""Finds the generator's weights in whatever a checkpoint holds: nested dictionaries, prefixes, weight and spectral norm."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ImportRefusedError
from models.imports.report import Report

Tensors = dict[str, NDArray[Any]]
DEEPEST = 5
AVERAGED_WORDS = "g_ema|ema|gema|g_ema_state_dict|generator_ema|netg_ema|averaged|ema_state_dict"
GENERATOR_WORDS = "g|gen|generator|netg|net_g|model_g|g_model|g_state_dict|generator_state_dict|g_net|decoder"
OTHER_WORDS = r"d|dis|disc|discriminator|netd|net_d|critic|d_state_dict|optim\w*|\w+_optim\w*|scheduler|encoder|metrics"


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"(^|[._])({words})($|[._])")


AVERAGED, GENERATOR, OTHERS = _words(AVERAGED_WORDS), _words(GENERATOR_WORDS), _words(OTHER_WORDS)
FIRST = re.compile(r".*emb|l1|fc|linear|project|init|preprocess|dense|input")
"""Names of what begins a network, whatever the alphabet says."""
NORMED = ("weight_g", "weight_orig", "weight.original0", "weight.original")
WRAPPERS = ("module.", "_orig_mod.", "_forward_module.")


@dataclass
class Module:
    """The tensors that share a path, such as `main.0`, and that path."""

    path: str
    tensors: Tensors = field(default_factory=dict)

    @property
    def parent(self) -> str:
        """The path without its last part."""
        return self.path.rpartition(".")[0]

    @property
    def index(self) -> int | None:
        """The last part as a place in a sequence, if it is one."""
        last = self.path.rpartition(".")[2]
        return int(last) if last.isdigit() else None


def generator_weights(tree: Mapping[str, Any], report: Report) -> Tensors:
    """The generator's weights as plain layers have them: see `generator_state`, with norms of weights worked in."""
    return _plain(generator_state(tree, report))


def generator_state(tree: Mapping[str, Any], report: Report) -> Tensors:
    """The state dictionary of the generator inside nested dictionaries of arrays: the averaged one before the newest.

    Raises ImportRefusedError when there is none, or several and no name tells which.
    """
    found = [(path, own) for path, own in _dictionaries(tree, "", 0) if not OTHERS.search(path.lower())]
    if not found:
        raise ImportRefusedError("the file holds no weights of a generator (a dictionary of tensors by name)")
    best = max(_score(path) for path, _ in found)
    chosen = [(path, own) for path, own in found if _score(path) == best]
    if len(chosen) > 1:
        chosen = [max(chosen, key=lambda one: len(one[1]))]
    path, tensors = chosen[0]
    kept, prefix = _of_generator(_unwrapped(tensors))
    report.add("weights", ".".join(part for part in (path, prefix) if part) or "the whole file", "file")
    _check_finite(kept)
    return kept


def _dictionaries(tree: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, Tensors]]:
    own = {str(key): value for key, value in tree.items() if isinstance(value, np.ndarray)}
    if sum(value.ndim > 1 for value in own.values()):
        yield path, own
    for key, value in tree.items():
        if isinstance(value, Mapping) and depth < DEEPEST:
            yield from _dictionaries(value, f"{path}.{key}" if path else str(key), depth + 1)


def _score(path: str) -> int:
    lower = path.lower()
    return 3 if AVERAGED.search(lower) else 2 if GENERATOR.search(lower) else 1


def _unwrapped(tensors: Tensors) -> Tensors:
    """Without what DataParallel, compilation and the like put before every name."""
    for wrapper in WRAPPERS * 2:
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name[len(wrapper) :]: value for name, value in tensors.items()}
    return {name.replace(".module.", "."): value for name, value in tensors.items()}


def _of_generator(tensors: Tensors) -> tuple[Tensors, str]:
    """The names below `g_ema.`, `netG.`, `generator.` … where one dictionary holds more than the generator."""
    heads = list(dict.fromkeys(name.partition(".")[0] for name in tensors))
    if len(heads) > 1 or GENERATOR.search(heads[0].lower()) or AVERAGED.search(heads[0].lower()):
        for rule in (AVERAGED, GENERATOR):
            head = next((one for one in heads if rule.search(one.lower())), None)
            if head is not None and any(name.startswith(f"{head}.") for name in tensors):
                inside = {
                    name[len(head) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{head}.")
                }
                return _unwrapped(inside), head
    return {name: value for name, value in tensors.items() if not OTHERS.search(name.partition(".")[0].lower())}, ""


def _check_finite(tensors: Tensors) -> None:
    for name, value in tensors.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ImportRefusedError(f"the weights {name!r} hold values that are not finite (NaN or infinity)")


def _plain(tensors: Tensors) -> Tensors:
    """float32 weights with weight norm and spectral norm worked into them, in the order the modules had."""
    plain = {name: np.asarray(value, np.float32) for name, value in tensors.items() if "num_batches" not in name}
    order = list(dict.fromkeys(map(_module_of, plain)))
    for name in [name for name in plain if name.endswith(NORMED)]:
        _work_in(plain, name)
    return dict(sorted(plain.items(), key=lambda one: order.index(_module_of(one[0]))))


def _module_of(name: str) -> str:
    return name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]


def _work_in(plain: Tensors, name: str) -> None:
    stem, _, last = name.rpartition(".")
    if last == "weight_g":
        plain[f"{stem}.weight"] = _weight_norm(plain.pop(name), plain.pop(f"{stem}.weight_v"))
    elif last == "original0":
        base = stem.removesuffix(".parametrizations.weight")
        plain[f"{base}.weight"] = _weight_norm(plain.pop(name), plain.pop(f"{stem}.original1"))
    elif last == "weight_orig":
        u, v = plain.pop(f"{stem}.weight_u"), plain.pop(f"{stem}.weight_v", None)
        plain[f"{stem}.weight"] = _spectral_norm(plain.pop(name), u, v)
    elif f"{stem}.0._u" in plain:
        base = stem.removesuffix(".parametrizations.weight")
        u, v = plain.pop(f"{stem}.0._u"), plain.pop(f"{stem}.0._v")
        plain[f"{base}.weight"] = _spectral_norm(plain.pop(name), u, v)


def _weight_norm(g: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """Salimans and Kingma, "Weight normalization", equation 2: g v / |v|, the norm over all axes but g's own."""
    axes = tuple(k for k in range(v.ndim) if g.shape[k] == 1)
    norm = np.sqrt(np.square(v.astype(np.float64)).sum(axes, keepdims=True))
    return np.asarray(g * v / norm, np.float32)


def _spectral_norm(weight: NDArray[Any], u: NDArray[Any], v: NDArray[Any] | None) -> NDArray[Any]:
    """Miyato et al., "Spectral normalization", section 2.1: the weight over u' W v, W with the axis of u first."""
    axis = 0 if weight.shape[0] == len(u) else 1
    if v is not None and weight.shape[0] == len(u) == weight.shape[1] and weight.ndim == 4:
        axis = 1 if weight.shape[2] % 2 == 0 else 0  # transposed convolutions, told by their even kernels, use axis 1
    matrix = np.moveaxis(weight, axis, 0).reshape(len(u), -1).astype(np.float64)
    right = matrix.T @ u if v is None else v
    right = right / np.linalg.norm(right)
    return np.asarray(weight / float(u @ matrix @ right), np.float32)


def modules_of(tensors: Tensors, *, in_order: bool) -> list[Module]:
    """The tensors by module. `in_order`: the file keeps the order of the layers; else names are sorted as people count."""
    modules: dict[str, Module] = {}
    for name, value in tensors.items():
        path, _, last = name.rpartition(".")
        modules.setdefault(path, Module(path)).tensors[last] = value
    if in_order:
        return list(modules.values())
    return sorted(modules.values(), key=lambda module: _counting(module.path))


def _counting(path: str) -> list[tuple[int, int, str]]:
    """`l1` before `conv_blocks` and 2 before 10: parts that begin a network first, then words, then numbers."""
    first = (
        re.search(r"emb", path) is not None
        or re.match(r"(l1|fc|linear|project|init|preprocess|dense|input)", path) is not None
    )
    parts: list[tuple[int, int, str]] = [(0 if first else 1, 0, "")]
    for part in re.split(r"(\d+)", path):
        if part:
            parts.append((0, int(part), "") if part.isdigit() else (1, 0, part))
    return parts
