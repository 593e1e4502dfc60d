"""Files of pictures on the command line."""

import pytest

from service.cli.pictures import suffix_for


@pytest.mark.parametrize(
    ("output_format", "suffix"), [(None, ".png"), ("png", ".png"), ("webp", ".webp"), ("jpeg", ".jpg"), ("bmp", ".bmp")]
)
def test_a_format_has_its_ending(output_format: str | None, suffix: str) -> None:
    """One that no server writes is the server's to refuse; `upsample --format bmp` ended in a traceback."""
    assert suffix_for(output_format) == suffix
