"""The guide's expressions are the language's."""

import re

from service.latents.expressions import parse
from tests.conftest import ROOT


def test_every_expression_in_the_guide_can_be_read() -> None:
    """What docs/latents.md shows can be typed."""
    text = (ROOT / "docs" / "latents.md").read_text()
    block = re.search(r"```expression\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = block.group(1).strip().splitlines()
    assert len(lines) >= 5
    for line in lines:
        parse(line)
