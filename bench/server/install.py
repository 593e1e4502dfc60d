"""`python -m bench.server.install mosec fastapi …`: each rival in a virtual environment of its own, at the pinned version."""

import subprocess
import sys
from pathlib import Path

from bench.server.targets import RIVALS, rival_home

PINS = Path(__file__).parents[1] / "rivals" / "requirements.txt"


def pins_of(rival: str) -> list[str]:
    """What a rival needs: the common section and its own, sections being `# name` lines."""
    section, found = "", []
    for line in PINS.read_text().splitlines():
        if line.startswith("# "):
            section = line[2:].strip()
        elif line and section in {"common", rival}:
            found.append(line)
    return found


def main() -> None:
    """Install those named, or all."""
    for name in sys.argv[1:] or [rival.name for rival in RIVALS]:
        home = rival_home(name)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "-q", *pins_of(name)], check=True)
        print(f"{name} is in {home}")


if __name__ == "__main__":
    main()
