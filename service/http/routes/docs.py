"""GET /docs: the API reference, from this server alone."""

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter()
ASSETS = Path(fastapi_offline.__file__).parent / "static"
_START = """window.onload = () => { SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout" }); };
"""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ganymede API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css"></head><body><div id="docs"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """The Swagger page; its scripts come from an installed package, not from another host."""
    return HTMLResponse(_PAGE)


@router.get("/docs/start.js", include_in_schema=False)
async def start() -> Response:
    """The few lines that start it, as a file, so that the content security policy can forbid inline scripts."""
    return Response(_START, media_type="text/javascript")


def mount_assets(app: FastAPI) -> None:
    """Serve Swagger's own files below /docs/assets."""
    app.mount("/docs/assets", StaticFiles(directory=ASSETS))
