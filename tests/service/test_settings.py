"""Settings: who wins, what is refused, what is told to the caller."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.errors import RuntimeUnavailableError
from service.operations import state
from service.settings import Settings, limits


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source gives way to the one before it."""
    config = tmp_path / "ganymede.toml"
    config.write_text('port = 1001\nmax_batch = 7\nbundles = ["a", "b"]\n')
    monkeypatch.setenv("GANYMEDE_CONFIG", str(config))
    monkeypatch.setenv("GANYMEDE_PORT", "1002")
    found = Settings(host="127.0.0.2")
    assert (found.host, found.port, found.max_batch, found.max_pictures) == (
        "127.0.0.2",
        1002,
        7,
        Settings().max_pictures,
    )
    assert Settings(port=1003).port == 1003
    assert found.bundles == (Path("a"), Path("b"))


def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are separated by a colon, hosts by commas."""
    monkeypatch.setenv("GANYMEDE_BUNDLES", "/one:/two")
    monkeypatch.setenv("GANYMEDE_WEBHOOK_HOSTS", "a.example, b.example")
    assert Settings().bundles == (Path("/one"), Path("/two"))
    monkeypatch.setenv("GANYMEDE_BUNDLES", "/one, https://example.org:8443/b.zip, s3://bucket/x#0123456789abcdef")
    assert Settings().bundles == (
        Path("/one"), "https://example.org:8443/b.zip", "s3://bucket/x#0123456789abcdef",
    )  # fmt: skip
    assert Settings().webhook_hosts == ("a.example", "b.example")


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"role": "boss"}, {"max_batch": 0}, {"surprise": 1}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    """Out of range, unknown value, unknown name."""
    with pytest.raises(ValidationError):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("host", "public"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True)]
)
def test_what_counts_as_public(host: str, public: bool) -> None:
    """Loopback in all its spellings is private, everything else is not."""
    assert Settings(host=host).listens_publicly is public


@pytest.mark.parametrize("secret", ["whsec_abc", "whsec_abcd!", "secret"])
def test_a_secret_that_could_sign_nothing_is_refused(secret: str) -> None:
    """At the start, and not at the first webhook."""
    assert Settings(webhook_secret="whsec_" + "MfKQ9r8GKYqrTwjU").webhook_secret
    with pytest.raises(ValidationError, match="a secret is whsec_ and base64"):
        Settings(webhook_secret=secret)


def test_limits_follow_the_settings() -> None:
    """What GET /models shows is what is enforced."""
    assert limits(Settings(max_pictures=5))["pictures_per_request"] == 5


def test_two_onnx_runtimes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cpu and gpu extras exclude each other; the sentence says how to mend it."""
    monkeypatch.setattr(state, "distribution", lambda name: name)  # every distribution is there
    with pytest.raises(RuntimeUnavailableError, match="both installed"):
        state.resolve_device(Settings())
