"""The studio's files as a browser gets them: one small page, a strict policy, addresses that can be cached for ever."""

import re
from pathlib import Path

import httpx

from service.http.routes.web import files

LIMIT_BYTES = 150_000


async def test_the_page_names_files_that_exist(client: httpx.AsyncClient) -> None:
    """Every style, script and icon that the page names is there, with its own media type."""
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:href|src)="(/studio/[^"]+)"', page.text)
    assert len(named) >= 4
    for address in named:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].split("/")[0] in {"text", "image"}


async def test_scripts_import_only_each_other() -> None:
    """Every import of every module is a file of the page: nothing comes from another host."""
    names = set(files())
    for name, data in files().items():
        for target in re.findall(r'^import [^"]*"([^"]+)";$', data.decode() if name.endswith(".js") else "", re.M):
            folder = name.rsplit("/", 1)[0]
            path = f"{folder.rsplit('/', 1)[0]}/{target[3:]}" if target.startswith("../") else f"{folder}/{target[2:]}"
            assert path in names, f"{name} imports {target}"


async def test_unchanged_files_are_not_sent_again(client: httpx.AsyncClient) -> None:
    """The page is asked for each time and answered with 304 while it is the same."""
    first = await client.get("/")
    again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/studio/files/0000000000000000/js/main.js")).status_code == 404


async def test_the_policy_is_strict(client: httpx.AsyncClient) -> None:
    """No inline script or style, no other host, no cookie."""
    page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "set-cookie" not in page.headers


def test_the_page_is_small() -> None:
    """Everything together stays below 150 kB."""
    assert sum(map(len, files().values())) < LIMIT_BYTES


async def test_every_file_has_its_own_type_and_is_held_by_its_tag(client: httpx.AsyncClient) -> None:
    """The page is asked for again, files under their digest never, the icon once a day; all under the same policy."""
    types = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
    for name in [name for name in files() if name != "index.html"]:
        answer = await client.get(f"/studio/files/{name}")
        assert answer.headers["content-type"] == types.get(Path(name).suffix, "text/plain; charset=utf-8"), name
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    page, icon = await client.get("/"), await client.get("/favicon.ico")
    assert (page.headers["cache-control"], icon.headers["cache-control"]) == ("no-cache", "public, max-age=86400")
    assert page.headers["etag"] != icon.headers["etag"]
    assert {len(answer.headers["etag"]) for answer in (page, icon)} == {34}
    assert page.headers["content-security-policy"] == icon.headers["content-security-policy"]
    held = await client.get("/favicon.ico", headers={"if-none-match": icon.headers["etag"]})
    kept = ("etag", "cache-control", "content-security-policy")
    assert [held.headers[name] for name in kept] == [icon.headers[name] for name in kept]
    assert (await client.get("/", headers={"if-none-match": icon.headers["etag"]})).status_code == 200
