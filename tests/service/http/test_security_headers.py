"""What every answer has, also one that is the last thing a connection is told."""

import json

from service.errors import UnavailableError
from service.http.problems import problem_bytes
from service.http.security_headers import SECURITY, lines_of, with_security

GUARDS = {(name.lower().encode(), value.encode()) for name, value in SECURITY.items()}


def test_the_last_words_are_a_whole_answer() -> None:
    """A problem with a request id of its own, the guards of every answer, and the end of the connection."""
    head, _, body = problem_bytes(UnavailableError("too many", headers={"Retry-After": "1"})).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    problem = json.loads(body)
    assert first == b"HTTP/1.1 503 Service Unavailable"
    assert (problem["status"], problem["detail"], problem["instance"]) == (503, "too many", "/")
    assert (headers[b"connection"], headers[b"retry-after"]) == (b"close", b"1")
    assert (int(headers[b"content-length"]), len(headers[b"x-request-id"])) == (len(body), 32)
    assert set(headers.items()) >= GUARDS
    assert problem_bytes(UnavailableError("too many")) != problem_bytes(UnavailableError("too many"))


def test_guards_are_added_where_an_answer_has_none_of_its_own() -> None:
    """The request id is the gate's alone."""
    own = (b"content-security-policy", b"default-src 'none'")
    found = with_security([own, (b"a", b"b"), (b"x-request-id", b"another")], "r1")
    assert found[:3] == [own, (b"a", b"b"), (b"x-request-id", b"r1")]
    assert set(found[3:]) == {guard for guard in GUARDS if guard[0] != own[0]}
    assert lines_of(found[:2]) == b"content-security-policy: default-src 'none'\r\na: b\r\n"
