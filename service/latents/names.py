"""Names people give: what they may look like, and which known one comes nearest to a mistyped one."""

import difflib
import re
from collections.abc import Iterable

from service.errors import InvalidValueError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
NAME = re.compile(NAME_PATTERN[:-1] + r"\Z")
REFERENCE_PATTERN = NAME_PATTERN[:-1] + r"(@[0-9a-f]{16})?$"
"""A bundle as requests name it: `name`, or `name@digest`."""


def check_name(name: str, what: str = "name") -> str:
    """The name itself. Raises InvalidValueError for one that is empty, too long or has odd characters."""
    if not NAME.match(name):
        raise InvalidValueError(
            f"{name[:80]!r} is no {what}: 1 to 64 of A-Z a-z 0-9 _ . - and the first a letter or digit",
            pointer=f"/{what}",
            hint=f"must match {NAME_PATTERN}",
        )
    return name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, or None when none is near; letter case does not count."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """`; the nearest is 'x'`, to end a refusal with; empty when none is near."""
    near = nearest(name, known)
    return f"; the nearest is {near!r}" if near else ""
