"""The dependency audit of `make check`: a found vulnerability fails, a service that cannot be asked is said to be so."""

from collections.abc import Sequence
from typing import Any

import pytest

from deploy import audit

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


def test_a_mirror_without_vulnerability_data_is_not_believed(capsys: pytest.CaptureFixture[str]) -> None:
    """It calls a release sound that is known to be broken: nothing was audited, and the check says so."""
    assert audit.main(service(row("pillow"), row("thing"), [])) == 0
    assert "audit NOT MADE" in capsys.readouterr().out


def test_no_network_does_not_hang(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A service that never answers costs a bounded time."""
    monkeypatch.setattr(audit, "CANARY_S", 0.01)
    assert audit.main() == 0
    assert "no answer within 0.01 s" in capsys.readouterr().out
