"""Accept: the representation a client gets for what it says it takes (RFC 9110, section 12.5.1)."""

import pytest

from service.errors import NotAcceptableError
from service.http.negotiation import DOCUMENT_TYPES, JSON, PICTURE_TYPES, PNG, choose

WEBP, JPEG = "image/webp", "image/jpeg"
CHOSEN = {
    None: PNG,
    "": PNG,
    "*/*": PNG,
    "image/*": PNG,
    "application/json": JSON,
    "application/*": JSON,
    " IMAGE/Jpeg ; Q=0.5": JPEG,
    "image/webp, image/png": PNG,
    "image/png;q=0.1, image/webp;q=0.9": WEBP,
    "image/png; level=1 ;q=0.2, application/json;q=0.3": JSON,
    "image/png;q=0.9, image/webp;q=1": WEBP,
    "*/*;q=0.5, image/jpeg": JPEG,
    "image/*;q=0.5, */*;q=0.7": JSON,
    "image/png;q=0, */*": WEBP,
    "*/*, image/*;q=0": JSON,
    "image/png;q=much, image/webp;q=0.1": WEBP,
    "text/html, application/xhtml+xml, */*;q=0.8": PNG,
}


@pytest.mark.parametrize(("accept", "media"), CHOSEN.items(), ids=map(str, CHOSEN))
def test_the_best_of_what_is_offered_is_given(accept: str | None, media: str) -> None:
    """The highest quality of the most specific range; among equals the first that is offered."""
    assert choose(accept, PICTURE_TYPES) == media


@pytest.mark.parametrize("accept", ["text/plain", "image/*", "*/*;q=0", "application/json;q=0", "application/json;q=x"])
def test_what_is_not_offered_is_refused(accept: str) -> None:
    """With the list of what is."""
    with pytest.raises(NotAcceptableError, match="application/json, application/x-npy"):
        choose(accept, DOCUMENT_TYPES)
