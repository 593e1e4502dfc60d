"""The shipped bundles, which are measured with."""

from pathlib import Path

from models.bundle import read_bundle

SHIPPED = Path(__file__).parents[2] / "models" / "exports"


def link(bundles: Path, name: str) -> str:
    """Puts the shipped bundle of that name below `bundles`, where a server is told to look; its name."""
    bundle = read_bundle(SHIPPED / name)
    place = bundles / bundle.name
    if not place.exists():
        place.symlink_to(bundle.folder, target_is_directory=True)
    return bundle.name
