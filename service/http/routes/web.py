"""GET /: the studio page. Its files are read once, named by a digest of them all, and so cacheable for ever."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import NotFoundError
from service.http.validators import is_held

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).parents[2] / "web"
PAGE = "index.html"
PREFIX = b"/studio/files/"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types lit-html"
)
FOR_EVER = "public, max-age=31536000, immutable"
TYPES = {
    ".LICENSE": "text/plain",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
}


@cache
def files() -> Mapping[str, bytes]:
    """Every file of the page by its path; the page itself names the others below their common digest."""
    paths = [path for path in sorted(FOLDER.rglob("*")) if path.is_file()]
    found = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in paths}
    digest = hashlib.sha256(b"\0".join(name.encode() + data for name, data in found.items())).hexdigest()[:16]
    page = found.pop(PAGE).replace(PREFIX, PREFIX + digest.encode() + b"/")
    return {PAGE: page, **{f"{digest}/{name}": data for name, data in found.items()}}


@router.get("/")
async def get_page(request: Request) -> Response:
    """The page; everything it does goes through the public API."""
    return _answer(request, PAGE, "no-cache")


@router.get("/studio/files/{path:path}")
async def get_file(request: Request, path: str) -> Response:
    """A script, a style or a picture of the page, below the digest that the page names."""
    if path == PAGE or path not in files():
        raise NotFoundError("the studio has no such file; reload the page")
    return _answer(request, path, FOR_EVER)


@router.get("/favicon.ico")
async def get_icon(request: Request) -> Response:
    """Browsers ask for it unasked."""
    return _answer(request, next(name for name in files() if name.endswith("/icon.svg")), "public, max-age=86400")


def _answer(request: Request, name: str, caching: str) -> Response:
    data = files()[name]
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": caching, "Content-Security-Policy": CSP}
    if is_held(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=TYPES[Path(name).suffix], headers=headers)
