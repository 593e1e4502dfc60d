"""Whether a request is meant for this server and sent by nobody else's page: the Host, Origin and Sec-Fetch-Site headers.

A page of another site can make a browser send requests here: under its own name, once that name points at this address
(DNS rebinding), or across sites with a form or a fetch. The first is told by Host (RFC 9110, section 7.4: 421), the second
by Sec-Fetch-Site and Origin, in the order in which Go's net/http.CrossOriginProtection asks. One policy is used by every
way through the server; it reads the headers once and keeps no state but remembered verdicts.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from service.errors import CrossSiteError, MalformedError, MisdirectedError
from service.settings import Settings

RawHeaders = Iterable[tuple[bytes, bytes]]

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change and compute nothing that matters (RFC 9110, section 9.2.1)."""
OWN_SITES = frozenset({b"same-origin", b"none"})
"""What Sec-Fetch-Site says of our own pages and of an address that was typed in."""
AUTHORITY = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?", re.IGNORECASE)
EVERYTHING = "*"
CLOSING = {"Connection": "close"}


class HostHeaders(NamedTuple):
    """What the headers say about where a request was meant to go and who sent it. `hosts` counts Host headers."""

    hosts: int
    host: bytes
    origin: bytes | None
    site: bytes | None


def read_headers(headers: RawHeaders) -> HostHeaders:
    """Read the headers once. A repeated Origin or Sec-Fetch-Site makes a value that nobody is known by."""
    hosts, host, origin, site = 0, b"", None, None
    for name, value in headers:
        if name == b"host":
            hosts, host = hosts + 1, value
        elif name == b"origin":
            origin = value if origin is None else origin + b", " + value
        elif name == b"sec-fetch-site":
            site = value if site is None else site + b", " + value
    return HostHeaders(hosts, host, origin, site)


def host_of(value: bytes) -> str | None:
    """The host in a Host header: lower-case, without port and final dot, an address in its shortest form. None: no host."""
    found = AUTHORITY.fullmatch(value)
    if found is None:
        return None
    name = found[1].decode("ascii").lower().removesuffix(".")
    address = _address(name.strip("[]"))
    if name.startswith("[") and (address is None or ":" not in name):
        return None
    return (str(address) if address is not None else name) or None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


class HostPolicy:
    """The hosts and origins of one server."""

    def __init__(self, settings: Settings) -> None:
        public = urlsplit(settings.public_url or "")
        names = {settings.host.lower(), *settings.allowed_hosts, *filter(None, [public.hostname])}
        self._names = frozenset(str(_address(name) or name) for name in names if not name.startswith("*"))
        self._endings = (".localhost", *(name[1:] for name in names if name.startswith("*.")))
        self._every_host = EVERYTHING in settings.allowed_hosts
        self._every_address = settings.host in {"0.0.0.0", "::", ""}
        self._origins = frozenset(origin.encode() for origin in settings.allowed_origins)
        own = f"{public.scheme}://{public.netloc}".lower() if public.netloc else None
        self._own_origin = own.encode() if own else None
        self._is_ours = lru_cache(1024)(self._belongs)

    @property
    def names_origins(self) -> bool:
        """Whether pages of another origin are let in, so that answers differ by Origin."""
        return bool(self._origins)

    def check(self, method: str, version: str, headers: RawHeaders) -> bytes | None:
        """Let a request in; gives the foreign origin whose page may read the answer, if one sent it.

        `version` is that of HTTP. Raises MalformedError for no, two or unreadable hosts, MisdirectedError for the host of
        somebody else, CrossSiteError for another site's page that would change or compute something.
        """
        found = read_headers(headers)
        if found.hosts != 1 or not self._is_ours(found.host):
            self._check_host(found, version)
        if found.origin is None and found.site is None:
            return None
        named = found.origin is not None and (found.origin in self._origins or b"*" in self._origins)
        if not named and method not in SAFE and self._is_foreign(found):
            raise CrossSiteError(
                "another site's page sent this; GANYMEDE_ALLOWED_ORIGINS names the origins that may", headers=CLOSING
            )
        return found.origin if named else None

    def _check_host(self, found: HostHeaders, version: str) -> None:
        """A client of HTTP/1.0 may say no host (RFC 9112, section 3.2), and no browser is one."""
        if found.hosts == 0 and version == "1.0":
            return
        host = host_of(found.host) if found.hosts == 1 else None
        if host is None:
            said = {0: "no Host header", 1: "a Host header that names no host"}.get(found.hosts, "two Host headers")
            raise MalformedError(f"the request has {said}; HTTP/1.1 wants one", headers=CLOSING)
        raise MisdirectedError(
            f"this server does not answer for the host {host[:100]!r}; GANYMEDE_ALLOWED_HOSTS names those it does",
            headers=CLOSING,
        )

    def _belongs(self, value: bytes) -> bool:
        """Whether a Host value is one of ours. Ports are not compared: containers and forwards change them."""
        host = host_of(value)
        if host is None:
            return False
        if self._every_host or host == "localhost" or host in self._names or host.endswith(self._endings):
            return True
        address = _address(host)  # a name that was rebound is a name: an address in Host is where the browser went
        return address is not None and (address.is_loopback or self._every_address)

    def _is_foreign(self, found: HostHeaders) -> bool:
        """Whether a browser says, or its Origin shows, that another origin's page sent the request."""
        if found.origin is not None and found.origin == self._own_origin:
            return False
        if found.site is not None:
            return found.site not in OWN_SITES
        assert found.origin is not None  # a request with neither is not asked about
        return found.origin.lower().partition(b"://")[2] != found.host.lower()
