"""Which representation an Accept header asks for."""

from functools import lru_cache

from service.errors import NotAcceptableError

PNG, JSON, ZIP, SSE = "image/png", "application/json", "application/zip", "text/event-stream"
NPY, NPZ, GIF = "application/x-npy", "application/x-npz", "image/gif"
PICTURE_TYPES = (PNG, "image/webp", "image/jpeg", JSON, ZIP, NPY, NPZ, SSE)
DOCUMENT_TYPES = (JSON, NPY, SSE)


@lru_cache(256)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """The best offered media type for an Accept header; the first one for `*/*` or none. Raises NotAcceptableError."""
    ranges = _ranges(accept or "*/*")
    best = max(offered, key=lambda media: (_quality(media, ranges), -offered.index(media)))
    if _quality(best, ranges) <= 0:
        raise NotAcceptableError(f"this resource comes as {', '.join(offered)}")
    return best


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            found.append((media, float(quality)))
        except ValueError:
            found.append((media, 0.0))
    return found


def _quality(media: str, ranges: list[tuple[str, float]]) -> float:
    """Quality of the most specific range that matches."""
    kind = media.split("/")[0]
    for pattern in (media, f"{kind}/*", "*/*"):
        matches = [quality for name, quality in ranges if name == pattern]
        if matches:
            return matches[0]
    return 0.0
