"""`ganymede login`, `logout`, `open`: which server is meant, and its page in the browser."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ganymede_client import Client
from service.cli.application import app
from service.cli.config import Login, config_file, login_for, save_login
from service.cli.output import fail, read, report, show
from service.cli.remote import Url, client, errors_as_sentences


@app.command()
def login(
    address: Annotated[str, typer.Argument(help="Address of the server, http://… or https://…")],
    key_from: Annotated[
        str | None,
        typer.Option("--key-from", help="File with the API key, - for stdin; absent: asked for on a terminal."),
    ] = None,
) -> None:
    """Remember a server and its API key for all commands, after asking it. Example: ganymede login http://127.0.0.1:8000"""
    if not address.startswith(("http://", "https://")):
        fail("the address begins with http:// or https://", code=2)
    found = Login(address.rstrip("/"), _key(key_from))
    with errors_as_sentences(), Client(found.url, api_key=found.key) as ganymede:
        bundles = len(ganymede.models()["data"])
    file = save_login(found)
    facts = {"url": found.url, "key": found.key is not None, "file": str(file), "bundles": bundles}
    report(facts, f"{found.url} serves {bundles} bundles; remembered in {file}")


def _key(source: str | None) -> str | None:
    if source is not None:
        return read(Path(source)).decode(errors="replace").strip() or None
    if not sys.stdin.isatty():
        return None
    return typer.prompt("API key (enter for none)", default="", hide_input=True, show_default=False, err=True) or None


@app.command()
def logout() -> None:
    """Forget the remembered server and key. Example: ganymede logout"""
    file = config_file()
    there = file.exists()
    file.unlink(missing_ok=True)
    report({"removed": there}, f"removed {file}" if there else "nothing was remembered")


@app.command("open")
def open_studio(
    url: Url = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the address and open nothing.")] = False,
) -> None:
    """Show the studio in the browser. Example: ganymede open"""
    address = login_for(url).url.rstrip("/") + "/"
    with client(url) as ganymede:
        ganymede.alive()  # no server is a sentence, and not an empty tab
    opened = not only_print and webbrowser.open(address)
    show({"url": address, "opened": opened}, address)
