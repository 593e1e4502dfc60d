"""The dependency audit of `make check`: a found vulnerability fails, a service that cannot be asked is said to be so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy import audit
from deploy.locked import SNAPSHOT, Snapshot, find_lock, read_lock

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


def test_the_lock_is_compared_with_the_snapshot(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whose day is said; a known vulnerability fails as if a service had named it."""
    file = locked / SNAPSHOT
    file.parent.mkdir()
    Snapshot("2026-01-02", "osv", {"thing==1.0": [], "other-thing==2.0": []}).write(file)
    assert audit.main(away, ["--required"], locked) == 0
    assert "2 of 2 packages of constraints.txt checked, snapshot of 2026-01-02 (osv)" in capsys.readouterr().out
    Snapshot("2026-01-02", "osv", {"thing==1.0": ["CVE-3"], "other-thing==2.0": []}).write(file)
    assert audit.main(away, root=locked) == 1
    assert "thing==1.0: CVE-3" in capsys.readouterr().out


def test_a_package_newer_than_the_snapshot_is_not_checked(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock that moved on does not inherit the old verdict."""
    (locked / SNAPSHOT).parent.mkdir()
    Snapshot("2026-01-02", "osv", {"thing==1.0": [], "other-thing==1.9": []}).write(locked / SNAPSHOT)
    assert audit.main(away, root=locked) == 0
    assert "NOT CHECKED, newer than the snapshot: other-thing==2.0" in capsys.readouterr().out
    assert audit.main(away, ["--required"], locked) == 2


def test_a_snapshot_is_written_of_the_lock(locked: Path) -> None:
    """With what the service says of exactly the locked packages; it is what the comparison reads."""
    (locked / SNAPSHOT).parent.mkdir()

    def both(options: Sequence[str], limit_s: int) -> Report:
        asked = Path(options[-1]).read_text()
        if "pillow" in asked:
            return {"dependencies": [row("pillow", "CVE-1")]}
        assert asked == "other-thing==2.0\nthing==1.0\n"
        return {"dependencies": [{**row("Other_Thing"), "version": "2.0"}, row("thing", "CVE-2")]}

    assert audit.main(both, ["--write-snapshot"], locked) == 0
    assert audit.main(away, root=locked) == 1


def test_a_uv_lock_is_read_without_our_own_package(tmp_path: Path) -> None:
    """What comes from this folder has no advisories."""
    (tmp_path / "uv.lock").write_text(
        'version = 1\n[[package]]\nname = "ganymede"\nversion = "0.1.0"\nsource = { editable = "." }\n'
        '[[package]]\nname = "Thing"\nversion = "1.0"\nsource = { registry = "https://index.example/simple" }\n'
    )
    lock = find_lock(tmp_path)
    assert lock is not None
    assert read_lock(lock) == ["thing==1.0"]
