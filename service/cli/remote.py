"""Talking to a server from the command line: the client, its errors as sentences, output for people or for scripts."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ganymede_client import Client, GanymedeError, ServerError, TransportError
from service.cli.serve import fail

DEFAULT_URL = "http://127.0.0.1:8000"
Url = Annotated[str, typer.Option("--url", envvar="GANYMEDE_URL", help="Address of the server.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Bundle; the server's default when absent.")]


@contextmanager
def client(url: str) -> Iterator[Client]:
    """A client whose errors end the command with one sentence and the next thing to try."""
    try:
        with Client(url, api_key=os.environ.get("GANYMEDE_API_KEY")) as opened:
            yield opened
    except TransportError as error:
        fail(f"{error}. Is it running? Start one with: ganymede serve", code=3)
    except ServerError as error:
        pointers = "".join(f"\n  {e.get('pointer')}: {e.get('detail')}" for e in error.errors)
        hint = {404: "\nSee what there is: ganymede models", 401: "\nSet GANYMEDE_API_KEY to your key."}.get(
            error.status, ""
        )
        fail(f"{error}{pointers}{hint}")
    except GanymedeError as error:
        fail(str(error))


def show(found: Any, as_json: bool, line: str) -> None:
    """JSON for scripts, a line for people."""
    typer.echo(json.dumps(found) if as_json else line)


def note(sentence: str) -> None:
    """A word on stderr, so that stdout stays clean."""
    typer.secho(sentence, err=True, dim=True)


def write(path: Path, data: bytes) -> None:
    """Write a file; a folder that does not exist is a clear sentence."""
    try:
        path.write_bytes(data)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def read(path: Path) -> bytes:
    """Read a file of the user's; one that cannot be read is a clear sentence."""
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
