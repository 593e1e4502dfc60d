"""What a key allows at the endpoints: scopes, saving by the way, and whose jobs are seen."""

import logging
from typing import Any

import pytest
from starlette.requests import Request

from service.auth.keys import ApiKey
from service.errors import ForbiddenError, NotFoundError
from service.http.permissions import check_keeping, check_owner, key_of, need_scope, visible_caller
from service.jobs.job import Job, JobState
from service.observability.logs import IdsFilter, about
from service.operations.sample import SampleRequest

SAVES, KEEPS_NOTHING = SampleRequest(seed=1, save_as="mine"), SampleRequest(seed=1)


def asked_by(name: str = "", *scopes: str) -> Request:
    """A request that the gate let in; without a name by nobody known."""
    state = {"api_key": ApiKey(name, "", frozenset(scopes), 60)} if name else {}
    return Request({"type": "http", "headers": [], "state": state})


def job_of(caller: str, job_id: str = "j1") -> Job:
    return Job(job_id, "sample", JobState.QUEUED, caller)


def test_without_keys_everything_is_allowed() -> None:
    """Nobody is known, nothing is refused, every job is listed."""
    request = asked_by()
    assert key_of(request) is None
    need_scope(request, "admin")
    check_keeping(request, SAVES)
    assert check_owner(request, job_of("ann")).caller == "ann"
    assert visible_caller(request) is None


def test_a_scope_that_lacks_is_named() -> None:
    """With the key's name, so that its owner knows which to change."""
    ann = asked_by("ann", "sample")
    need_scope(ann, "sample")
    with pytest.raises(ForbiddenError, match="API key 'ann' lacks the scope 'admin'"):
        need_scope(ann, "admin")


def test_saving_needs_its_scope_at_every_endpoint() -> None:
    """Who saves nothing needs none, and a body may have no such field."""
    for body in (KEEPS_NOTHING, object(), None):
        check_keeping(asked_by("ann", "sample"), body)
    check_keeping(asked_by("ann", "latents:write"), SAVES)
    with pytest.raises(ForbiddenError, match="'latents:write'"):
        check_keeping(asked_by("ann", "sample"), SAVES)


@pytest.mark.parametrize(("request_", "sees"), [(asked_by("ann", "sample"), "ann"), (asked_by("root", "admin"), None)])
def test_jobs_are_seen_by_who_sent_them_and_by_admins(request_: Any, sees: str | None) -> None:
    """Whether another's exists is nobody's business: it is answered like one that does not."""
    assert visible_caller(request_) == sees
    assert check_owner(request_, job_of("ann")).id == "j1"
    if sees is None:
        assert check_owner(request_, job_of("bob")).id == "j1"
        return
    with pytest.raises(NotFoundError, match=r"^no job 'j1'$"):
        check_owner(request_, job_of("bob"))


def test_what_is_logged_from_here_on_names_the_job() -> None:
    """Of one that is seen."""
    record = logging.makeLogRecord({})
    with about(request_id="r1"):
        check_owner(asked_by(), job_of("ann", "j2"))
        IdsFilter().filter(record)
    assert (record.__dict__["request_id"], record.__dict__["job_id"]) == ("r1", "j2")
