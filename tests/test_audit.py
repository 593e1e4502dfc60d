"""The dependency audit of `make check`: a found vulnerability fails, a service that cannot be asked is said to be so."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy import audit
from deploy.advisories import SNAPSHOT, Snapshot, is_affected, read_snapshot
from deploy.locked import read_locks

Report = dict[str, Any]


def row(name: str, *ids: str) -> Report:
    return {"name": name, "version": "1.0", "vulns": [{"id": one} for one in ids]}


def service(canary: Report, whole: Report, asked: list[str]) -> audit.Run:
    def run(options: Sequence[str], limit_s: int) -> Report:
        asked.append(options[1])
        return {"dependencies": [canary if "-r" in options else whole]}

    return run


def test_a_vulnerable_package_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, with what is known about it."""
    assert audit.main(service(row("pillow", "CVE-1"), row("thing", "CVE-2"), [])) == 1
    assert "thing 1.0: CVE-2" in capsys.readouterr().out


def test_sound_packages_pass() -> None:
    """And the second service is not asked for what the first has answered."""
    asked: list[str] = []
    assert audit.main(service(row("pillow", "CVE-1"), row("thing"), asked)) == 0
    assert set(asked) == {"pypi"}


def test_a_mirror_without_vulnerability_data_is_not_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It calls a release sound that is known to be broken: nothing was checked, and the check says so plainly."""
    assert audit.main(service(row("pillow"), row("thing"), []), root=tmp_path) == 0
    assert "NOT CHECKED, no committed lock, advisory snapshot of <none>" in capsys.readouterr().out


def test_no_network_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that never answers costs a bounded time."""
    monkeypatch.setattr(audit, "CANARY_S", 0.01)
    assert audit.main(root=tmp_path) == 0
    assert "no answer within 0.01 s" in capsys.readouterr().out


def away(options: Sequence[str], limit_s: int) -> Report:
    raise audit.NotMadeError("no network")


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A project with two locked packages and no snapshot."""
    (tmp_path / "constraints.txt").write_text(
        "# written by a tool\nthing==1.0 ; python_version > '3'\nOther.Thing==2.0\n"
    )
    return tmp_path


def test_without_a_snapshot_nothing_is_checked(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, and a release that requires the check does not pass."""
    assert audit.main(away, root=locked) == 0
    assert "NOT CHECKED, constraints.txt, advisory snapshot of <none>" in capsys.readouterr().out
    assert audit.main(away, ["--required"], locked) == 2


def advisory(name: str, *events: dict[str, str], id: str = "PYSEC-1") -> Report:
    return {
        "id": id,
        "details": "long",
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}
        ],
    }


def keep(root: Path, *advisories: Report, covers: Sequence[str] = ("thing", "other-thing")) -> None:
    (root / SNAPSHOT).parent.mkdir(exist_ok=True)
    Snapshot("2026-01-02", "a test", covers, advisories).write(root / SNAPSHOT)


def test_the_locks_are_compared_with_the_snapshot(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whose day is said; a known vulnerability fails as if a service had named it."""
    keep(locked, advisory("Other_Thing", {"introduced": "0"}, {"fixed": "2.0"}))
    assert audit.main(away, ["--required"], locked) == 0
    said = "checked 2 releases of constraints.txt against 1 advisories of 2026-01-02 (a test)"
    assert said in capsys.readouterr().out
    keep(locked, advisory("Other_Thing", {"introduced": "0"}, {"fixed": "2.0.1"}))
    assert audit.main(away, root=locked) == 1
    assert "other-thing==2.0: PYSEC-1" in capsys.readouterr().out


def test_a_package_that_was_not_looked_up_is_not_checked(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No advisory of it is no praise."""
    keep(locked, covers=["thing"])
    assert audit.main(away, root=locked) == 0
    assert "NOT CHECKED: 1 releases" in capsys.readouterr().out
    assert audit.main(away, ["--required"], locked) == 2


INTRODUCED, FIXED = {"introduced": "1.0rc1"}, {"fixed": "1.2"}


@pytest.mark.parametrize(
    ("version", "events", "affected"),
    [
        ("0.9", [INTRODUCED, FIXED], False),
        ("1.0", [INTRODUCED, FIXED], True),
        ("1.10", [INTRODUCED, FIXED], False),
        ("1.2", [INTRODUCED, FIXED], False),
        ("1.2", [INTRODUCED, {"last_affected": "1.2"}], True),
        ("1.3", [INTRODUCED, {"last_affected": "1.2"}], False),
        ("9", [INTRODUCED], True),
        ("2.1", [{"introduced": "2.0"}, {"fixed": "2.2"}, {"introduced": "0"}, {"fixed": "1.1"}], True),
        ("1.5", [{"introduced": "2.0"}, {"fixed": "2.2"}, {"introduced": "0"}, {"fixed": "1.1"}], False),
    ],
)
def test_ranges_of_releases(version: str, events: list[dict[str, str]], affected: bool) -> None:
    """Versions are compared as versions, in every range."""
    assert is_affected(("thing", version), advisory("thing", *events)) is affected
    assert not is_affected(("thin", version), advisory("thing", *events))


def test_the_committed_snapshot_covers_what_the_server_needs() -> None:
    """Every package of its lock was looked up, and it knows releases that are vulnerable."""
    snapshot = read_snapshot(audit.ROOT / SNAPSHOT)
    assert snapshot is not None
    pins = read_locks([audit.ROOT / "requirements/cpu.txt"])
    assert {name for name, _ in pins} <= set(snapshot.covers)
    assert snapshot.found_in([("pillow", "12.2.0"), ("starlette", "1.3.0")])
    assert not snapshot.found_in(pins)


def test_a_snapshot_is_written_of_the_locks(locked: Path) -> None:
    """With what the service says of exactly the locked packages; it is what the comparison reads."""
    keep(locked)

    def osv(request: httpx.Request) -> httpx.Response:
        name = json.loads(request.content)["package"]["name"]
        found = [advisory(name, {"introduced": "0"}, id="PYSEC-9")] if name == "thing" else []
        return httpx.Response(200, json={"vulns": found} if found else {})

    assert audit.write_snapshot(locked, httpx.MockTransport(osv)) == 0
    assert audit.main(away, root=locked) == 1
    assert "details" not in (locked / SNAPSHOT).read_text()
    assert audit.write_snapshot(locked, httpx.MockTransport(lambda _: httpx.Response(503))) == 2
    assert audit.main(away, root=locked) == 1
