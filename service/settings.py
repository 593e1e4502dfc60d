"""The one table of settings. Order of authority: command line > GANYMEDE_* environment > TOML file > default."""

import base64
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

SHIPPED_BUNDLES = Path(__file__).parent.parent / "models" / "exports"


def default_data_dir() -> Path:
    """Where the embedded default writes: XDG data home, or a private folder below the temporary one."""
    base = os.environ.get("XDG_DATA_HOME") or (Path.home() / ".local" / "share" if Path.home() != Path("/") else None)
    return Path(base or tempfile.gettempdir()) / "ganymede"


class Settings(BaseSettings):
    """Every setting of every role. Units stand in the names: _s seconds, _ms milliseconds, _bytes, _pixels."""

    model_config = SettingsConfigDict(env_prefix="GANYMEDE_", extra="forbid", frozen=True, env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    role: Literal["all", "api", "worker"] = Field(
        "all", description="all: API, engine and jobs in one process; api: no engine; worker: engine and jobs only."
    )
    insecure: bool = Field(False, description="Listen on a public address without API keys.")
    processes: int = Field(1, ge=0, le=256, description="Full processes behind the port; 0 means one a core.")
    process_index: int = Field(0, ge=0, description="Which of the processes this is; the supervisor sets it.")
    data_dir: Path = Field(default_factory=default_data_dir, description="Everything the embedded default writes.")
    redis_url: str | None = Field(None, description="External Redis or Valkey; absent: a private embedded one.")
    redis_appendfsync: Literal["everysec", "always"] = Field(
        "everysec",
        description="When the embedded Redis's log is synced to disk; always survives power loss and is slower.",
    )
    redis_namespace: str = Field(
        "gmd", pattern=r"^[a-z0-9-]{1,32}$", description="First part of every key, so that several may share a Redis."
    )
    bundles: Annotated[tuple[Path | str, ...], NoDecode] = Field(
        (SHIPPED_BUNDLES,),
        description="Folders of bundles, zips, and URLs such as s3://bucket/faces64.zip#digest, watched; separated by "
        "':' in the environment, by commas where one is a URL.",
    )
    bundle_fetch_s: float = Field(60.0, gt=0, description="Seconds between two looks at a URL of bundles.")
    default_model: str | None = Field(None, description="Bundle used when a request names none; fashion32 if there.")
    bundle_poll_s: float = Field(2.0, gt=0, description="Seconds between two looks at the bundle folders.")
    api_keys_file: Path | None = Field(None, description="Hashed API keys; absent: no keys are asked for.")
    provider: Literal["auto", "cpu", "cuda"] = Field("auto", description="Execution provider.")
    runtime: Literal["onnx", "openvino", "torchscript", "fake", "auto"] = Field(
        "onnx",
        description="Runtime that computes pictures; auto measures once a machine and bundle, see decision 31.",
    )
    precision: Literal["exact", "fast"] = Field(
        "exact",
        description="What a request gets that names none; fast takes the fastest runtime measured here and says how far its "
        "pictures may be from the exact ones, see decision 36.",
    )
    threads: int = Field(0, ge=0, le=256, description="Threads of the runtime; 0 means one a core.")
    max_batch: int = Field(16, ge=1, le=1024, description="Pictures computed at once, at most.")
    queue_pictures: int = Field(8192, ge=1, description="Pictures waiting for the engine before 429.")
    encode_threads: int = Field(0, ge=0, le=64, description="Threads that encode pictures; 0 means one a core.")
    max_pictures: int = Field(1024, ge=1, le=100_000, description="Pictures in one request.")
    async_pictures: int = Field(512, ge=1, description="Requests for more pictures than this become jobs.")
    max_body_bytes: int = Field(16 << 20, ge=1024, description="Bytes of a request body.")
    max_import_bytes: int = Field(256 << 20, ge=1024, description="Bytes of a file of saved latents.")
    max_upload_pixels: int = Field(50_000_000, ge=1, description="Pixels of an uploaded picture.")
    max_result_pixels: int = Field(100_000_000, ge=1, description="Pixels of one answer, over all its pictures.")
    max_frames: int = Field(600, ge=2, description="Frames of one walk.")
    max_latents_per_model: int = Field(120_000, ge=1, description="Saved latents of one model.")
    max_jobs: int = Field(10_000, ge=1, description="Jobs queued or running before 429.")
    job_result_ttl_s: float = Field(86_400, gt=0, description="Seconds a job's result is kept; 410 afterwards.")
    job_record_ttl_s: float = Field(
        172_800, gt=0, description="Seconds an ended job can be looked at, and its Idempotency-Key be used again."
    )
    job_lease_s: float = Field(
        5.0, gt=0, description="Seconds without a heartbeat before a job goes to another worker."
    )
    job_attempts: int = Field(5, ge=1, le=100, description="Starts of a job before it is put on the dead-letter list.")
    results: str | None = Field(
        None,
        description="Folder or URL (s3://bucket/results) where large results lie, the same for a whole fleet; absent: below "
        "the data folder where Redis is on this machine, else none, and no sets.",
    )
    max_set_pictures: int = Field(100_000, ge=1, le=100_000, description="Pictures of one set, made as a job.")
    result_inline_bytes: int = Field(
        256 << 10,
        ge=1024,
        description="Bytes of a job's upload or result that Redis keeps; a larger one goes to the results store.",
    )
    stored_bytes_per_key: int = Field(
        20 << 30, ge=1, description="Bytes of sets kept for one API key (or, without keys, one address) before 429."
    )
    job_chunk_pictures: int = Field(64, ge=1, description="Pictures of a bulk job that one worker takes at a time.")
    job_slots: int = Field(16, ge=1, le=1024, description="Jobs one worker runs side by side.")
    timeout_s: float = Field(60.0, gt=0, description="Deadline of a request that names none.")
    drain_s: float = Field(20.0, gt=0, description="Seconds SIGTERM waits for work in flight.")
    request_timeout_s: float = Field(
        30.0, gt=0, description="Seconds a request may take to arrive, and one more for every 32 KiB that came."
    )
    unread_timeout_s: float = Field(
        30.0, gt=0, description="Seconds in which a client must take 32 KiB of an answer that waits for it."
    )
    max_held_bytes: int = Field(
        256 << 20, ge=1 << 20, description="Bytes of answers and bodies kept for slow clients; beyond, the slowest go."
    )
    max_connections: int = Field(4096, ge=1, description="Connections of a process; more get 503.")
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts webhooks may call, separated by commas; empty: no webhooks."
    )
    webhook_secret: str | None = Field(None, description="whsec_… secret that signs webhooks.")
    public_url: str | None = Field(None, description="Base of the URLs in answers; absent: relative URLs.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts that requests may name beside loopback, the address listened on and public_url's; commas between; "
        "`*.example.org` takes all below, `*` every host.",
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins (https://app.example.org) whose pages may use this server; commas between; `*` is all."
    )
    runs_dir: Path | None = Field(None, description="Run folders of the training package, shown in the studio.")
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people or for machines.")

    @field_validator("bundles", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in value.split("," if "://" in value else os.pathsep) if part.strip()]
        parts = value if isinstance(value, list | tuple) else (value,)
        return tuple(part if "://" in str(part) else Path(part) for part in parts)

    @field_validator("webhook_hosts", "allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("webhook_secret")
    @classmethod
    def _usable_secret(cls, secret: str | None) -> str | None:
        try:
            base64.b64decode((secret or "").removeprefix("whsec_"), validate=True)
        except ValueError:
            raise ValueError("a secret is whsec_ and base64, such as openssl rand -base64 32 gives") from None
        return secret

    @field_validator("allowed_hosts")
    @classmethod
    def _plain_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plain_host(host) for host in hosts)

    @field_validator("allowed_origins")
    @classmethod
    def _plain_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plain_origin(origin) for origin in origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line (init) before environment before the TOML file named by GANYMEDE_CONFIG."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        if config := os.environ.get("GANYMEDE_CONFIG"):
            sources += (TomlConfigSettingsSource(settings_cls, Path(config)),)
        return sources

    @property
    def cores(self) -> int:
        """Processor cores this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @property
    def engine_threads(self) -> int:
        """Threads of the runtime, resolved."""
        return self.threads or self.cores

    @property
    def has_one_core(self) -> bool:
        """Whether this process has no second core: what is put into a thread then only interrupts what it left."""
        return self.engine_threads == 1

    @property
    def measurements_file(self) -> Path:
        """What was measured of the bundles on this machine; shared by all its processes."""
        return self.data_dir / "runtimes.json"

    @property
    def listens_publicly(self) -> bool:
        """Whether the address can be reached from other machines."""
        return self.host not in {"127.0.0.1", "localhost", "::1"} and not self.host.startswith("127.")


HOST = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f]*:[0-9a-f:.]+")
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/?#@\s]+")


def plain_host(host: str) -> str:
    """A host as a request's is compared: lower-case, without port, brackets and final dot. Raises ValueError."""
    plain = re.sub(r"^\[(.*)\](:\d*)?$|^([^:]*):\d*$", r"\1\3", host.lower()).removesuffix(".")
    if not HOST.fullmatch(plain):
        raise ValueError(f"{host!r} is no host: say name, *.name, an address, or * for all")
    return plain


def plain_origin(origin: str) -> str:
    """An origin as browsers write it. Raises ValueError."""
    plain = origin.lower().removesuffix("/")
    if not ORIGIN.fullmatch(plain):
        raise ValueError(f"{origin!r} is no origin: say https://name, http://name:port, or * for all")
    return plain


def limits(settings: Settings) -> dict[str, int]:
    """The limits a caller may run into, as `GET /models` and 413/422 details show them."""
    return {
        "pictures_per_request": settings.max_pictures,
        "pixels_per_upload": settings.max_upload_pixels,
        "pixels_per_result": settings.max_result_pixels,
        "bytes_per_body": settings.max_body_bytes,
        "frames_per_walk": settings.max_frames,
        "saved_latents_per_model": settings.max_latents_per_model,
        "pictures_per_set": settings.max_set_pictures,
        "jobs": settings.max_jobs,
        "pictures_queued": settings.queue_pictures,
    }
