"""When to try again, and after how long."""

import random

import httpx

AGAIN = {429, 502, 503}
LONGEST_S = 30.0
LONGEST_ASKED_S = 600.0
"""Seconds between tries, at most: by our own clock, and when the server asks for it."""


def wait_s(attempt: int, response: httpx.Response | None) -> float:
    """Seconds before the next try: what Retry-After says, else 0.2, 0.4, 0.8 … with jitter."""
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if asked.isdigit():
        return min(float(asked), LONGEST_ASKED_S)
    return float(min(0.2 * 2 ** min(attempt, 10), LONGEST_S) * random.uniform(0.5, 1.0))


def busy(response: httpx.Response | None) -> bool:
    """Whether the server said that it is full or not ready yet, which passes."""
    return response is not None and response.status_code in {429, 503}


def worth_it(response: httpx.Response | None, repeatable: bool) -> bool:
    """Refused work may always be sent again; work that may have been done only when repeating does no harm."""
    return repeatable if response is None else response.status_code in AGAIN
