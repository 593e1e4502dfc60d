"""Which server the commands talk to: `--url`, GANYMEDE_URL and GANYMEDE_API_KEY, else the file `ganymede login` writes."""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from service.cli.output import fail, replacing

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Login:
    """An address, and the key that is sent there and nowhere else."""

    url: str = DEFAULT_URL
    key: str | None = None


def config_file() -> Path:
    """`$GANYMEDE_CLIENT_CONFIG`, else `ganymede/client.toml` below the XDG config folder."""
    if named := os.environ.get("GANYMEDE_CLIENT_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "ganymede" / "client.toml"


def saved_login() -> Login:
    """What the file says; the default where there is none. Ends the command with a sentence for a damaged file."""
    file = config_file()
    try:
        found = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return Login()
    except (OSError, ValueError) as error:
        fail(f"cannot read {file}: {error}", code=2)
    url, key = found.get("url", DEFAULT_URL), found.get("api_key")
    if not isinstance(url, str) or not isinstance(key, str | None):
        fail(f"{file}: url and api_key must be text", code=2)
    return Login(url, key)


def login_for(url: str | None) -> Login:
    """The address asked for (option or GANYMEDE_URL) or the saved one, with the key that belongs to it."""
    saved, key = saved_login(), os.environ.get("GANYMEDE_API_KEY")
    if url is None or url.rstrip("/") == saved.url.rstrip("/"):
        return Login(url or saved.url, key or saved.key)
    return Login(url, key)


def save_login(login: Login) -> Path:
    """Write the file, readable by its owner alone, in one step."""
    file = config_file()
    rows = {"url": login.url} | ({} if login.key is None else {"api_key": login.key})
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in rows.items())
    with replacing(file) as unfinished:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        with open(unfinished, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as target:
            target.write(text)
    return file
