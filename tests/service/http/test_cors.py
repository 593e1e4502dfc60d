"""Preflights and the headers a page gets that was named: what each browser asks, and nothing of what it did not ask."""

import pytest

from service.http.cors import headers_for, is_preflight, preflight_headers

ORIGIN = (b"origin", b"https://app.example")
METHOD = (b"access-control-request-method", b"POST")


@pytest.mark.parametrize(
    ("method", "headers", "asks"),
    [
        ("OPTIONS", [ORIGIN, METHOD], True),
        ("OPTIONS", [ORIGIN], False),
        ("OPTIONS", [METHOD], False),
        ("OPTIONS", [], False),
        ("POST", [ORIGIN, METHOD], False),
        ("GET", [ORIGIN, METHOD], False),
    ],
)
def test_what_a_preflight_is(method: str, headers: list[tuple[bytes, bytes]], asks: bool) -> None:
    """All three together; any other OPTIONS is answered as what it is."""
    assert is_preflight(method, headers) is asks


def test_a_named_page_may_read_everything() -> None:
    """It alone, and without cookies."""
    assert dict(headers_for(ORIGIN[1])) == {
        b"access-control-allow-origin": ORIGIN[1],
        b"access-control-expose-headers": b"*",
    }


def test_a_preflight_is_answered_for_what_it_asks() -> None:
    """Its headers as it names them, else those that are always allowed; the private network when it is asked about."""
    found = {
        b"access-control-allow-origin": ORIGIN[1],
        b"access-control-allow-methods": b"GET, HEAD, POST, PATCH, PUT, DELETE",
        b"access-control-allow-headers": b"authorization, content-type",
        b"access-control-max-age": b"600",
    }
    assert dict(preflight_headers(ORIGIN[1], [ORIGIN, METHOD])) == found
    asked = [ORIGIN, METHOD, (b"access-control-request-headers", b"x-api-key")]
    asked.append((b"access-control-request-private-network", b"true"))
    more = {b"access-control-allow-headers": b"x-api-key", b"access-control-allow-private-network": b"true"}
    assert dict(preflight_headers(ORIGIN[1], asked)) == found | more
