"""Which requests are let in: whose Host, whose page, and what the answer says; the decision alone, then on every way."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from service.errors import CrossSiteError, MalformedError, MisdirectedError, ServiceError
from service.http.hosts import HostPolicy, host_of
from service.settings import Settings
from tests.conftest import ClientFactory
from tests.service.wires import Open, Wire, answered_fast

Pairs = list[tuple[bytes, bytes]]


def policy(**options: Any) -> HostPolicy:
    return HostPolicy(Settings(**options))


def refusal(rules: HostPolicy, *headers: tuple[str, str], method: str = "POST", version: str = "1.1") -> type | None:
    """The kind of error that a request with these headers gets."""
    try:
        rules.check(method, version, [(name.encode(), value.encode("latin-1")) for name, value in headers])
    except ServiceError as error:
        return type(error)
    return None


OURS = ["localhost", "localhost:8000", "LocalHost:1", "localhost.", "studio.localhost", "127.0.0.1:8000", "127.8.9.1"]
OURS += ["[::1]:8000", "[0:0::1]", "[::ffff:127.0.0.1]:80", "localhost:"]
FOREIGN = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.5:8000"]
FOREIGN += ["0.0.0.0:8000", "[2001:db8::1]", "notlocalhost", "2130706433", "127.1", "xlocalhost:8000", "localhost.."]
UNREADABLE = ["", " ", "a b", "user@localhost", "localhost:port", "localhost:8000:1", "localhost/", "http://localhost"]
UNREADABLE += ["[::1", "::1", "[localhost]", "[127.0.0.1]", "localhost\x00", "höst", "localhost,evil.example:1:2", "."]


@pytest.mark.parametrize("host", OURS)
def test_loopback_is_ours(host: str) -> None:
    """However it is spelt, at any port: containers and forwards change ports."""
    assert refusal(policy(), ("host", host)) is None


@pytest.mark.parametrize("host", FOREIGN)
def test_other_hosts_are_misdirected(host: str) -> None:
    """For reading, too: a rebound name reads as well as it writes."""
    assert refusal(policy(), ("host", host)) is MisdirectedError
    assert refusal(policy(), ("host", host), method="GET") is MisdirectedError
    assert refusal(policy(allowed_hosts="*"), ("host", host)) is None


@pytest.mark.parametrize("host", UNREADABLE)
@pytest.mark.parametrize("hosts", ["", "*"])
def test_what_names_no_host_is_malformed(host: str, hosts: str) -> None:
    """Even where every host is ours."""
    assert refusal(policy(allowed_hosts=hosts), ("host", host)) is MalformedError


@pytest.mark.parametrize("hosts", ["", "*"])
def test_one_host_no_more_no_less(hosts: str) -> None:
    """Two are a trick played on a proxy, even two of ours; none is for HTTP/1.0, which no browser speaks."""
    rules = policy(allowed_hosts=hosts)
    assert refusal(rules) is MalformedError
    assert refusal(rules, ("host", "localhost"), ("host", "localhost")) is MalformedError
    with pytest.raises(MalformedError, match="has no Host header"):
        rules.check("GET", "1.1", [])
    with pytest.raises(MalformedError, match="has two Host headers"):
        rules.check("GET", "1.1", [(b"host", b"localhost")] * 2)
    assert refusal(rules, version="1.0") is None
    assert refusal(rules, ("host", "localhost"), ("host", "localhost"), version="1.0") is MalformedError


def test_what_is_listened_on_and_named_is_ours() -> None:
    """The address, the names of the setting with or without port, and public_url's; no name that merely ends like one."""
    rules = policy(host="192.168.1.5", allowed_hosts="Gan.Example.org:443, *.svc", public_url="https://pub.example/g")
    for host in ("192.168.1.5:8000", "gan.example.org", "a.b.svc:80", "pub.example", "localhost"):
        assert refusal(rules, ("host", host)) is None, host
    for host in ("192.168.1.6", "x.gan.example.org", "svc", "asvc", "evil.pub.example"):
        assert refusal(rules, ("host", host)) is MisdirectedError, host


@pytest.mark.parametrize("listens", ["0.0.0.0", "::"])
def test_on_every_address_every_address_is_ours_and_no_name(listens: str) -> None:
    """Probes come by the pod's address; a name that was rebound is never an address."""
    rules = policy(host=listens)
    assert refusal(rules, ("host", "10.2.3.4:8000")) is None
    assert refusal(rules, ("host", "[2001:db8::7]:8000")) is None
    assert refusal(rules, ("host", "ganymede.default.svc")) is MisdirectedError


def test_addresses_have_one_form() -> None:
    """The shortest."""
    assert host_of(b"[2001:DB8:0::1]:80") == "2001:db8::1"
    assert refusal(policy(allowed_hosts="2001:db8:0::1"), ("host", "[2001:db8::1]:80")) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"},
        {"sec-fetch-site": "none"},
        {"origin": "http://localhost:8000"},
        {"origin": "HTTP://LOCALHOST:8000"},
    ],
)
def test_own_pages_and_programs_notice_nothing(headers: dict[str, str]) -> None:
    """The studio, a typed address, curl, an old browser on our page."""
    assert refusal(policy(), ("host", "localhost:8000"), *headers.items()) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"},
        {"sec-fetch-site": "nonsense"},
        {"sec-fetch-site": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:8000.evil.example"},
    ],
)
def test_other_pages_may_read_and_not_write(headers: dict[str, str]) -> None:
    """403 for whatever computes or changes; reading is left to the browser, which hides the answer from the page."""
    for method in ("POST", "PATCH", "PUT", "DELETE", "FETCH"):
        assert refusal(policy(), ("host", "localhost:8000"), *headers.items(), method=method) is CrossSiteError
    for method in ("GET", "HEAD", "OPTIONS"):
        assert refusal(policy(), ("host", "localhost:8000"), *headers.items(), method=method) is None


def test_repeated_headers_do_not_hide_a_site() -> None:
    """Neither the first nor the last one wins."""
    host = ("host", "localhost")
    for order in (("same-origin", "cross-site"), ("cross-site", "same-origin")):
        assert refusal(policy(), host, *(("sec-fetch-site", site) for site in order)) is CrossSiteError
    for origins in (("http://localhost", "http://evil.example"), ("http://evil.example", "http://localhost")):
        assert refusal(policy(), host, *(("origin", origin) for origin in origins)) is CrossSiteError


def test_named_origins_are_let_in() -> None:
    """Exactly those: scheme, name and port. The address of public_url is our own page behind a proxy that renames hosts."""
    rules = policy(allowed_origins="https://app.example, http://localhost:3000/", public_url="https://pub.example/g")
    for origin in ("https://app.example", "http://localhost:3000"):
        assert refusal(rules, ("host", "localhost"), ("origin", origin), ("sec-fetch-site", "cross-site")) is None
    for origin in ("http://app.example", "https://app.example:444", "https://x.app.example"):
        assert refusal(rules, ("host", "localhost"), ("origin", origin)) is CrossSiteError
    assert refusal(rules, ("host", "localhost"), ("origin", "https://pub.example")) is None
    assert refusal(policy(allowed_origins="*"), ("host", "localhost"), ("origin", "https://any.example")) is None


@pytest.mark.parametrize(
    "wrong", [{"allowed_hosts": "http://x"}, {"allowed_hosts": "a b"}, {"allowed_origins": "app.example"}]
)
def test_settings_that_would_match_nothing_are_refused(wrong: dict[str, Any]) -> None:
    """At the start, with a sentence, not as a riddle later."""
    with pytest.raises(ValidationError, match=r"is no (host|origin)"):
        Settings(**wrong)


# On the wire: bytes in, bytes out, with and without the way below ASGI. Whoever rewrites either keeps these.

REFUSED = [
    (421, "misdirected", ["Host: evil.example"]),
    (421, "misdirected", ["host: evil.example:8000"]),
    (400, "malformed", []),
    (400, "malformed", ["Host: localhost", "Host: localhost"]),
    (400, "malformed", ["Host: localhost", "HOST: evil.example"]),
    (400, "malformed", ["Host: a b"]),
    (400, "malformed", ["Host:"]),
    (403, "cross-site", ["Host: localhost", "Sec-Fetch-Site: cross-site"]),
    (403, "cross-site", ["Host: localhost", "Origin: http://evil.example"]),
    (403, "cross-site", ["Host: localhost", "Origin: null"]),
]
KINDS = ["Content-Type: application/json", "Content-Type: application/json; charset=utf-8"]
"""The first may be answered below ASGI, the second never is."""


def said(lines: list[str], start: str = "POST /sample HTTP/1.1", body: bytes = b'{"seed": 1}') -> bytes:
    return "\r\n".join([start, *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@pytest.mark.parametrize(("status", "slug", "lines"), REFUSED)
@pytest.mark.parametrize("kind", KINDS)
async def test_both_ways_refuse(opened: Open, status: int, slug: str, lines: list[str], kind: str) -> None:
    """As problem+json, nothing computed, the connection closed; also after a good request whose head is remembered."""
    app = await opened()
    taken, fresh, used = answered_fast(app), Wire(app), Wire(app)
    for _ in range(2):
        assert (await used.ask(b'{"seed": 1}'))[0] == 200
    for wire in (fresh, used):
        wire.tell(said([*lines, kind]))
        answered, headers, body = await wire.hear()
        assert (answered, headers["content-type"]) == (status, "application/problem+json")
        assert json.loads(body)["type"] == f"urn:ganymede:problem:{slug}"
        assert headers["x-request-id"]
        assert wire.closed
    assert len(taken) == 2


async def test_a_refused_head_is_never_remembered(opened: Open) -> None:
    """Sent again and again it is refused again and again."""
    app = await opened()
    for _ in range(3):
        wire = Wire(app)
        wire.tell(said(["Host: evil.example", KINDS[0]]))
        assert (await wire.hear())[0] == 421


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/metrics", "/", "/docs", "/models", "/jobs/x/events", "/nowhere"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_every_path_asks_for_the_host(opened: Open, path: str, method: str) -> None:
    """Health, metrics, pages, event streams and what does not exist."""
    wire = Wire(await opened())
    wire.tell(f"{method} {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
    async with asyncio.timeout(10):
        while b"\r\n\r\n" not in wire.data:
            await asyncio.sleep(0.001)
    assert wire.data.startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize(
    ("target", "hosts", "status"),
    [
        ("http://evil.example", ["localhost"], 421),
        ("HTTP://evil.example:80", ["localhost"], 421),
        ("http://localhost:8000", ["evil.example"], 200),
        ("https://[::1]:8000", ["evil.example"], 200),
        ("http://localhost", ["localhost", "localhost"], 400),
        ("http://localhost", [], 400),
        ("http://", ["localhost"], 400),
    ],
)
async def test_a_whole_address_names_the_host(opened: Open, target: str, hosts: list[str], status: int) -> None:
    """RFC 9112, section 3.2.2: as a request to a proxy has it; what the header says besides is not looked at."""
    wire = Wire(await opened())
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    wire.tell(f"GET {target}/livez HTTP/1.1\r\n{lines}X-Request-ID: mine\r\n\r\n".encode())
    answered, headers, _ = await wire.hear()
    assert answered == status
    assert headers["x-request-id"] == "mine" or target == "http://", "other headers are as they were"


@pytest.mark.parametrize(("origin", "status"), [("http://localhost:8000", 404), ("http://localhost:3000", 403)])
async def test_a_whole_address_names_the_port(opened: Open, origin: str, status: int) -> None:
    """A page of that very address is our own, one at another port is not."""
    wire = Wire(await opened())
    wire.tell(f"DELETE http://localhost:8000/latents/x HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n".encode())
    assert (await wire.hear())[0] == status


async def test_a_worker_asks_for_the_host(client_with: ClientFactory) -> None:
    """Its metrics are as private as the API's."""
    async with client_with(role="worker") as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/livez", headers={"host": "evil.example"})).status_code == 421


async def test_a_probe_of_http_1_0_may_say_no_host(opened: Open) -> None:
    """As load balancers send it."""
    wire = Wire(await opened())
    wire.tell(b"GET /livez HTTP/1.0\r\n\r\n")
    assert (await wire.hear())[0] == 200


async def test_refusals_are_counted(client: httpx.AsyncClient) -> None:
    """By their reasons, so that an operator sees a forgotten setting, and an attack."""
    await client.get("/livez", headers={"host": "evil.example"})
    await client.post("/sample", json={}, headers={"origin": "http://evil.example"})
    text = (await client.get("/metrics")).text
    assert 'reason="host"} 1.0' in text
    assert 'reason="origin"} 1.0' in text


PAGE = "https://app.example"


async def test_a_named_page_may_ask_and_read(client_with: ClientFactory) -> None:
    """Preflight, answer and error; caches are told that answers differ. Another page gets nothing of it."""
    asking = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    async with client_with(allowed_origins=PAGE) as client:
        allowed = await client.options("/sample", headers=asking)
        assert (allowed.status_code, allowed.content) == (204, b"")
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert "POST" in allowed.headers["access-control-allow-methods"]
        assert allowed.headers["access-control-allow-headers"] == "content-type"
        assert allowed.headers["access-control-max-age"] == "600"
        assert "access-control-allow-private-network" not in allowed.headers
        plain = {
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-private-network": "true",
        }
        private = (await client.options("/sample", headers=plain)).headers
        assert private["access-control-allow-private-network"] == "true"
        assert private["access-control-allow-headers"] == "authorization, content-type"
        for body, status in (({"seed": 1}, 200), ({"sede": 1}, 422)):
            answer = await client.post("/sample", json=body, headers={"origin": PAGE, "sec-fetch-site": "cross-site"})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
            assert answer.headers["access-control-expose-headers"] == "*"
        assert (await client.get("/models")).headers["vary"] == "origin"
        refused = await client.options("/sample", headers={**asking, "origin": "https://evil.example"})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers


async def test_without_named_origins_no_page_is_told_anything(client: httpx.AsyncClient) -> None:
    """No header of CORS on any answer."""
    for answer in (
        await client.get("/models", headers={"origin": PAGE}),
        await client.post("/sample", json={"seed": 1}, headers={"origin": PAGE}),
        await client.options("/sample", headers={"origin": PAGE, "access-control-request-method": "POST"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "vary" not in answer.headers


async def test_a_preflight_needs_no_key(client_with: ClientFactory, tmp_path: Any) -> None:
    """Browsers send none with it; the request behind it does."""
    (tmp_path / "keys.toml").write_text("")
    async with client_with(allowed_origins=PAGE, api_keys_file=tmp_path / "keys.toml") as client:
        asking = {"origin": PAGE, "access-control-request-method": "POST"}
        assert (await client.options("/sample", headers=asking)).status_code == 204
        answer = await client.post("/sample", json={"seed": 1}, headers={"origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, PAGE)


async def test_a_named_page_takes_the_gate_and_the_studio_the_short_way(opened: Open) -> None:
    """The headers of CORS are the gate's; our own page is answered below ASGI as before."""
    app = await opened(allowed_origins=PAGE)
    taken, wire = answered_fast(app), Wire(app)
    wire.tell(said(["Host: localhost:8000", KINDS[0], f"Origin: {PAGE}", "Sec-Fetch-Site: cross-site"]))
    assert (await wire.hear())[1]["access-control-allow-origin"] == PAGE
    assert not taken
    wire = Wire(app)
    wire.tell(said(["Host: localhost:8000", KINDS[0], "Origin: http://localhost:8000", "Sec-Fetch-Site: same-origin"]))
    assert (await wire.hear())[0] == 200
    assert len(taken) == 1
