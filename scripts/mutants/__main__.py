"""`python -m scripts.mutants [FOLDER or FILE …] [--most 60]`: the table `module | faults | tried | noticed | share`.

Works in a copy of the project, in a temporary folder. Of a module with more than `--most` faults a random sample is tried,
the same every time. Below the table: what each fault was that nobody noticed.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.mutants.faults import Fault, put_into

ROOT = Path(__file__).parent.parent.parent
SEED = 20
AREAS = {
    "service/engine": ["tests/service/engine", "tests/service/operations/test_sample.py"],
    "service/engine/batcher.py": ["tests/service/engine/test_batcher.py"],
    "service/http": ["tests/service/http"],
    "service/http/app.py": [
        "tests/service/http/test_app.py",
        "tests/service/http/routes/test_models.py",
        "tests/service/http/fast/test_handler.py::test_a_late_picture_is_504",
    ],
    "service/http/fast": ["tests/service/http/fast"],
    "service/http/responses": [
        "tests/service/http/responses",
        *(f"tests/service/operations/test_{name}.py" for name in ("sample", "jobs", "sets")),
    ],
    "service/http/routes": [
        "tests/service/http/routes",
        "tests/service/http/test_web.py",
        "tests/service/engine/test_versions.py::test_only_admin_keys_decide",
        "tests/service/operations/test_directions.py",
    ],
    "service/auth": ["tests/service/auth"],
    "service/latents": ["tests/service/latents", "tests/service/operations/test_latents.py"],
    "service/latents/expressions": ["tests/service/latents/expressions"],
    "models/mathematics": ["tests/models/mathematics"],
    "training/methods": ["tests/training/methods"],
}
COPIED = ("service", "models", "training", "ganymede_client", "save_files", "tests", "docs", "scripts")
PYTEST = [sys.executable, "-m", "pytest", "-p", "scripts.mutants.warm", "-p", "no:xdist", "-p", "no:timeout"]
PYTEST += ["--tb=line", "--hypothesis-profile=first-found", "-o", "tmp_path_retention_policy=none"]
NOTICED = {"killed", "timeout"}


def chosen(names: list[str]) -> dict[str, list[str]]:
    """The modules to try of each area; without names all of them."""
    found: dict[str, list[str]] = {}
    for name in names or AREAS:
        area = name if name in AREAS else str(Path(name).parent)
        files = sorted((ROOT / name).glob("*.py")) or [ROOT / name]
        if area not in AREAS or not all(file.exists() for file in files):
            sys.exit(f"{name} is none of {', '.join(AREAS)}, and no file of theirs")
        modules = [str(file.relative_to(ROOT)) for file in files]
        found.setdefault(area, []).extend(one for one in modules if one not in AREAS or one == name)
    return found


def copied(folder: Path) -> Path:
    """The project without bundles and caches."""
    ignored = shutil.ignore_patterns("exports", "__pycache__", "*.onnx")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def states(folder: Path, faults: list[Fault], tests: list[str]) -> dict[str, str]:
    """What became of every fault."""
    asked, told = folder / "asked.json", folder / "told.json"
    asked.write_text(json.dumps([fault.name for fault in faults]))
    own = {"MUTANTS_TRY": str(asked), "MUTANTS_TOLD": str(told), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*PYTEST, *tests], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True)
    if not told.exists():
        sys.exit(f"the tests did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return dict(json.loads(told.read_text()))


def tried_in(modules: list[str], tests: list[str], most: int) -> list[Fault]:
    """Prints the modules' lines of the table; returns what nobody noticed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = copied(Path(name))
        faults = {module: put_into(folder, module) for module in modules}
        chance = random.Random(SEED)
        tried = {module: chance.sample(found, min(most, len(found))) for module, found in faults.items() if found}
        told = states(folder, [fault for found in tried.values() for fault in found], tests)
    for module, found in tried.items():
        noticed = sum(told[fault.name] in NOTICED for fault in found)
        share = f"{100 * noticed / len(found):.0f} %"
        print(f"| `{module}` | {len(faults[module])} | {len(found)} | {noticed} | {share} |", flush=True)
    return [fault for found in tried.values() for fault in found if told[fault.name] not in NOTICED]


def main() -> None:
    """The table of the areas asked for, and what survived."""
    parser = argparse.ArgumentParser(prog="scripts.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FOLDER or FILE", help=f"of {', '.join(AREAS)}")
    parser.add_argument("--most", type=int, default=60, help="faults tried of each module")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="instead of the folder's own")
    asked = parser.parse_args()
    print("| module | faults | tried | noticed | |\n|---|---|---|---|---|")
    areas = chosen(asked.names)
    left = [f for area, some in areas.items() for f in tried_in(some, asked.tests or AREAS[area], asked.most)]
    for fault in left:
        print(f"\n{fault.name}\n{fault.change}")


if __name__ == "__main__":
    main()
