"""The locks: `python -m scripts.lock` writes them anew, `--check` says whether they still fit pyproject.toml.

`requirements/cpu.txt` and `requirements/gpu.txt`, with hashes, are what a server installs; `constraints.txt` pins what
tests and training install besides. It has no hashes, because torch is published in several builds of one version.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = {
    "requirements/cpu.txt": ("cpu",),
    "requirements/gpu.txt": ("gpu",),
    "constraints.txt": ("cpu", "train", "dev"),
}
HASHED = ("requirements/cpu.txt", "requirements/gpu.txt")
COMPILE = ("uv", "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11")
PLAIN = ("--no-annotate", "--no-header", "--no-emit-index-url", "--quiet")  # no address of a registry in a commit


def write() -> None:
    """Newest versions within pyproject's ranges. Needs uv on the path and a registry."""
    for file, extras in LOCKS.items():
        wanted = [word for extra in extras for word in ("--extra", extra)]
        hashes = ["--generate-hashes"] if file in HASHED else []
        subprocess.run([*COMPILE, *PLAIN, *hashes, *wanted, "--upgrade", "-o", file], cwd=ROOT, check=True)


def problems() -> list[str]:
    """A sentence on everything in which a lock and pyproject.toml disagree."""
    found = []
    for file, extras in LOCKS.items():
        pinned = read(ROOT / file)
        for requirement in required(extras):
            version = pinned.get(canonicalize_name(requirement.name))
            if version is None:
                found.append(f"{file} lacks {requirement.name}")
            elif not requirement.specifier.contains(version, prereleases=True):
                found.append(f"{file} has {requirement.name} {version}, pyproject.toml wants {requirement.specifier}")
    return found


def required(extras: tuple[str, ...]) -> list[Requirement]:
    """What pyproject.toml asks for with these extras, extras within extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts, open_extras, seen = list(project["dependencies"]), list(extras), set[str]()
    while open_extras:
        extra = open_extras.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for text in project["optional-dependencies"][extra]:
            inner = Requirement(text)
            if inner.name == project["name"]:
                open_extras += inner.extras
            else:
                texts.append(text)
    return [Requirement(text) for text in texts]


def read(file: Path) -> dict[str, str]:
    """Version by package name."""
    rows = (line.split(";")[0].split("\\")[0].strip() for line in file.read_text().splitlines() if "==" in line)
    pairs = (row.split("==") for row in rows if not row.startswith(("#", "--")))
    return {canonicalize_name(name): version.strip() for name, version in pairs}


if __name__ == "__main__":
    if "--check" not in sys.argv:
        write()
    elif wrong := problems():
        sys.exit("\n".join([*wrong, "run `make lock` (it needs uv: pip install uv) and commit what it writes"]))
