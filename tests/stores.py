"""Real stores for the tests: an S3-compatible server and a plain web server, both on this machine."""

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

BUCKET = "bundles"
ACCESS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A file system over a bucket of a local S3 server; everybody in this process finds it by its environment."""
    from moto.server import ThreadedMotoServer  # takes a second to import, and few tests ask for it

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    before = dict(os.environ)
    os.environ.update(ACCESS, AWS_ENDPOINT_URL=address)
    try:
        files = fsspec.filesystem("s3")
        files.mkdir(BUCKET)
        yield files
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a plain web server, and the folder it serves."""
    folder = tmp_path / "web"
    folder.mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
