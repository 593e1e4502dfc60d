"""Writes docs/settings.md from service/settings.py: `python docs/settings_table.py`. A test fails when they differ."""

from pathlib import Path

from service.settings import Settings

HEAD = """# Settings

Order of authority: command line, `GANYMEDE_*` environment, the TOML file that `GANYMEDE_CONFIG` names, the default.
Units stand in the names. This table is written from `service/settings.py`; a test compares them.

| setting | environment | default | what it does |
|---|---|---|---|
"""


def table() -> str:
    """The page."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "see text" if field.default_factory is not None or name == "bundles" else field.default
        shown = "-" if default in (None, ()) else default
        rows.append(f"| `{name}` | `GANYMEDE_{name.upper()}` | {shown} | {field.description} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "settings.md").write_text(table())
