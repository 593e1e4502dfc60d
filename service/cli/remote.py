"""Talking to a server from the command line: the client, its errors as sentences, options that commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ganymede_client import Client, GanymedeError, ServerError, TransportError
from service.cli.config import login_for
from service.cli.output import fail

Url = Annotated[
    str | None, typer.Option("--url", envvar="GANYMEDE_URL", help="Address of the server; absent: see ganymede login.")
]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Bundle; the server's default when absent.")]
Metadata = Annotated[
    str | None, typer.Option("--metadata", help="full | minimal | none: recipe and source mark inside the files.")
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="File (a sheet of several), folder (one file each), or - for stdout.")
]
Files = Annotated[list[Path], typer.Argument(help="Files and folders; - for stdin.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders inside folders, too.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Requests under way at once.")]
Again = Annotated[bool, typer.Option("--again", help="Also what is done already.")]


@contextmanager
def client(url: str | None, *, retries: int = 4) -> Iterator[Client]:
    """A client of the server meant, whose errors end the command with one sentence and the next thing to try."""
    login = login_for(url)
    with errors_as_sentences(), Client(login.url, api_key=login.key, retries=retries, timeout_s=300.0) as opened:
        yield opened


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Errors of the client end the command: exit code 3 without a server, 1 for a refusal."""
    try:
        yield
    except TransportError as error:
        fail(f"{error}. Is it running? Start one with: ganymede serve", code=3)
    except GanymedeError as error:
        fail(sentence_of(error))


def sentence_of(error: GanymedeError) -> str:
    """What a server's refusal means, with the next thing to try."""
    if not isinstance(error, ServerError):
        return str(error)
    news = [e for e in error.errors if e.get("detail", "") not in error.detail]
    pointers = "".join(f"\n  {e.get('pointer')}: {e.get('detail')}" for e in news)
    hints = {404: "\nSee what there is: ganymede models", 401: "\nSet GANYMEDE_API_KEY to your key, or: ganymede login"}
    return f"{error}{pointers}{hints.get(error.status, '')}"
