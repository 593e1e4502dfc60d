"""Parameters that several endpoints take."""

from typing import Annotated

from fastapi import Path, Query

from service.latents.names import NAME_PATTERN, REFERENCE_PATTERN

Name = Annotated[str, Path(pattern=NAME_PATTERN)]
"""A latent, a direction, or a bundle whatever its version."""
Reference = Annotated[str, Path(pattern=REFERENCE_PATTERN)]
"""A bundle, `name` or `name@digest`."""
Cursor = Annotated[str | None, Query(max_length=32)]
"""Where the page before ended."""
