"""`python -m scripts.mutants [NAME …]`: small faults put into a module, one at a time; do its tests notice? (mutmut)

Works in a copy of the project, in a temporary folder. Without names every module of MODULES; each line of the table is
`module | faults | noticed | not noticed`, the faults that nobody noticed are printed below it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = {
    "service/engine/batcher.py": ["tests/service/engine/test_batcher.py"],
    "service/auth/keys.py": ["tests/service/auth"],
    "service/http/hosts.py": ["tests/service/http/test_hosts.py"],
    "service/http/content_coding.py": ["tests/service/http/test_content_coding.py"],
    "service/http/fast/heads.py": ["tests/service/http/fast"],
    "models/mathematics/latents.py": ["tests/models/mathematics"],
    "models/mathematics/pyramid.py": ["tests/models/mathematics"],
    "training/methods/losses.py": ["tests/training"],
}
COPIED = ("service", "models", "training", "ganymede_client", "save_files", "tests")
CONFIGURATION = """[mutmut]
source_paths={room}
only_mutate={module}
also_copy=
    {copied}
pytest_add_cli_args_test_selection=
    {tests}
pytest_add_cli_args=
    -p
    no:xdist
"""
STATE = re.compile(r"^\s*(\S+): (\w[\w ]*)$", re.MULTILINE)


def prepare(folder: Path, module: str) -> None:
    """A copy without bundles and caches, and mutmut's settings for one module."""
    ignored = shutil.ignore_patterns("exports", "__pycache__", "*.onnx")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    room, tests = module.split("/", maxsplit=1)[0], "\n    ".join(MODULES[module])
    text = CONFIGURATION.format(room=room, module=module, copied="\n    ".join(COPIED), tests=tests)
    (folder / "setup.cfg").write_text(text)


def states(module: str) -> dict[str, str]:
    """Every fault of a module by its name: killed, survived, timeout, no tests."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        prepare(folder, module)
        mutmut = [sys.executable, "-m", "mutmut"]
        subprocess.run([*mutmut, "run", "--max-children", "2"], cwd=folder, check=False)
        listed = subprocess.run(
            [*mutmut, "results", "--all", "true"], cwd=folder, capture_output=True, text=True, check=False
        )
        return dict(STATE.findall(listed.stdout))


def main(names: list[str]) -> None:
    """Print the table, and what survived."""
    print("| module | faults | noticed | not noticed |\n|---|---|---|---|")
    left: list[str] = []
    for module in names or MODULES:
        found = states(module)
        noticed = [fault for fault, state in found.items() if state in {"killed", "timeout", "segfault"}]
        survived = [fault for fault, state in found.items() if state in {"survived", "no tests"}]
        if len(noticed) + len(survived) < len(found) or not found:
            sys.exit(f"mutmut did not run the tests of {module}")
        print(f"| `{module}` | {len(found)} | {len(noticed)} | {len(survived)} |", flush=True)
        left += survived
    print("\n".join(["", *left]))


if __name__ == "__main__":
    main(sys.argv[1:])
