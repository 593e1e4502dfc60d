"""TorchScript that cannot become ONNX is kept: run as it is, and dressed in a bundle's signature by tracing around it."""

import io
import zipfile
from typing import Any

from numpy.typing import NDArray
from onnx import TensorProto

from models.errors import ImportRefusedError
from models.imports.graphs.picture import Picture
from models.imports.graphs.roles import Form, Input, Roles, tell
from models.imports.options import Options
from models.imports.report import Report
from models.imports.session import Feed, short
from models.imports.torch_modules import TorchModule, first_output

OUTPUT = "picture"
SOURCES = ".debug_pkl"
"""Entries that name the source files of the machine that wrote it."""


class ScriptSession:
    """A module where a graph's session is asked for: one output, the picture."""

    outputs: tuple[str, ...] = (OUTPUT,)

    def __init__(self, module: TorchModule) -> None:
        self._module = module

    def run(self, feed: Feed, _: list[str] | None = None) -> list[NDArray[Any]]:
        """The picture alone. Raises ImportRefusedError when the module does not run."""
        try:
            return [self._module(dict(feed))]
        except Exception as error:
            raise ImportRefusedError(f"the TorchScript does not run: {short(error)}") from None

    def last_operator(self, _: str) -> str:
        """Not looked for in code; the range is measured."""
        return ""


def roles_of_script(module: TorchModule, options: Options, report: Report) -> Roles:
    """What each input is, as it was found by trying. Raises ImportRefusedError when classes cannot be counted."""
    (name, latent), *rest = module.given.items()
    sized = Input(name, TensorProto.FLOAT, (None, *latent.shape[1:]))
    label, form, classes = None, _form(rest), 0
    if rest:
        label = _label_input(*rest[0])
        classes = _classes(module, form, options)
    roles = Roles((sized,), label, form, classes, {}, 0)
    tell(roles, options, report)
    return roles


def _form(rest: list[tuple[str, Any]]) -> Form:
    return "one-hot" if rest and rest[0][1].is_floating_point() else "index"


def _label_input(name: str, example: Any) -> Input:
    kind = TensorProto.FLOAT if example.is_floating_point() else TensorProto.INT64
    return Input(name, kind, (None, *example.shape[1:]))


def _classes(module: TorchModule, form: Form, options: Options) -> int:
    """The width of one-hot rows; else the table of which the last row can be looked up and no further one."""
    label = list(module.given.values())[1]
    if form == "one-hot":
        return int(label.shape[1])
    tables = sorted({one.shape[0] for one in module.module.parameters() if one.dim() == 2 and one.shape[0] > 1})
    for count in [len(options.labels)] if options.labels else tables:
        if module.runs_for_label(count - 1) and not module.runs_for_label(count):
            return int(count)
    raise ImportRefusedError("how many classes it takes cannot be found by trying; name them all with --labels")


def dress_script(module: TorchModule, roles: Roles, picture: Picture, low: float, high: float) -> bytes:
    """TorchScript `(noise [n, size][, label [n, classes]]) -> picture` in -1..1 around the module, whose code is kept."""
    torch = module.torch
    example = torch.zeros(2, roles.size)
    given = (example, torch.eye(roles.classes)[:2]) if roles.label else (example,)
    traced = torch.jit.trace(_dressed(module, roles, picture, low, high), given, check_trace=False)
    stream = io.BytesIO()
    torch.jit.save(traced, stream)
    return _without_sources(stream)


def _dressed(module: TorchModule, roles: Roles, picture: Picture, low: float, high: float) -> Any:
    torch: Any = module.torch
    sides = [side or 1 for side in roles.latents[0].per_row]
    gain, shift = 2.0 / (high - low), -1.0 - 2.0 * low / (high - low)

    class Dressed(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inside = module.module

        def forward(self, noise: Any, label: Any = None) -> Any:
            given = [noise.reshape(-1, *sides)]
            if label is not None:
                given.append(label if roles.form == "one-hot" else label.argmax(1))
            made = first_output(self.inside(*given)).float()
            if picture.layout == "nhwc":
                made = made.permute(0, 3, 1, 2)
            return made.reshape(-1, picture.channels, picture.height, picture.width) * gain + shift

    return Dressed().eval()


def _without_sources(stream: io.BytesIO) -> bytes:
    """The archive without what names source files, and with the same dates each time."""
    kept = io.BytesIO()
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(kept, "w") as new:
        for name in old.namelist():
            if not name.endswith(SOURCES):
                new.writestr(zipfile.ZipInfo(name), old.read(name))
    return kept.getvalue()
