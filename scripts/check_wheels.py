"""Whether what is built can be installed: `python -m scripts.check_wheels`, part of `make check`.

The wheel of ganymede goes into a new environment outside the repository, `ganymede serve` starts there and gives one
picture. Its dependencies are not installed again: the new environment sees the packages of this one, but not this
repository, so that a file missing from the wheel is missed. The client's wheel goes into an environment that sees nothing
of this one; with httpx and its dependencies alone it asks the same server for the same picture.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
SERVER_PARTS = ("ganymede", "ganymede_client", "save_files", "service", "models", "training")
CLIENT_NEEDS = ("httpx", "httpcore", "h11", "anyio", "sniffio", "idna", "certifi", "typing_extensions.py")
ASK = """
import sys
from ganymede_client import Client
with Client(sys.argv[1]) as ganymede:
    print(len(ganymede.sample(model="fashion32", seed=7)[0].data))
"""


def main() -> None:
    """Prints what was installed where and what came back. Raises what fails."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheels = [build(ROOT, folder), build(ROOT / "ganymede_client", folder)]
        server, client = environment(folder / "server", wheels[0]), environment(folder / "client", wheels[1])
        show_packages(server, everything=True)
        show_packages(client, everything=False)
        with serving(server, folder) as address:
            answer = run([client / "bin" / "python", "-c", ASK, address], folder)
        print(f"{wheels[0].name} served one picture of {answer.strip()} bytes to {wheels[1].name}")


def build(source: Path, folder: Path) -> Path:
    """The wheel of a project, from a copy, so that no build folder is left behind."""
    copy = folder / f"source-{source.name}"
    skipped = shutil.ignore_patterns(
        ".git", ".venv", "__pycache__", "*.egg-info", "build", "runs", "data", "var", ".*_cache"
    )
    shutil.copytree(ROOT, copy, ignore=skipped)
    out = folder / f"wheel-{source.name}"
    project = copy / source.relative_to(ROOT)
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, project], folder)
    shutil.rmtree(copy)
    (wheel,) = out.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path) -> Path:
    """A new environment that holds the wheel and nothing else."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    target = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    command = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q", "--no-deps"]
    run([*command, "--no-index", wheel], folder.parent)
    assert target.is_dir()
    return folder


def show_packages(folder: Path, everything: bool) -> None:
    """Makes installed packages visible in an environment: all but our own, or what the client needs."""
    site = Path(sysconfig.get_path("purelib"))
    target = next((folder / "lib").iterdir()) / "site-packages"
    for entry in site.iterdir():
        ours = entry.name.split("-")[0].split(".")[0] in SERVER_PARTS or "ganymede" in entry.name
        if not ours and not (target / entry.name).exists() and (everything or entry.name in CLIENT_NEEDS):
            (target / entry.name).symlink_to(entry)


@contextmanager
def serving(server: Path, folder: Path) -> Iterator[str]:
    """The installed server on a free port; its address."""
    command = [server / "bin" / "ganymede", "serve", "--port", "0", "--data-dir", folder / "data"]
    process = subprocess.Popen(list(map(str, command)), cwd=folder, env=clean(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "ready on" in line), "")
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit("the installed server did not start")
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=30)


def run(command: list[object], folder: Path) -> str:
    """What a command prints. Raises SystemExit with what it said when it fails."""
    done = subprocess.run(list(map(str, command)), cwd=folder, env=clean(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{json.dumps(list(map(str, command)))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def clean() -> dict[str, str]:
    """This environment without our settings and search paths."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("GANYMEDE_")}


if __name__ == "__main__":
    main()
