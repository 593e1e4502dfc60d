"""The running state and the one function that builds it: nothing in the service is global."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution

from redis.asyncio import Redis
from redis.exceptions import RedisError

from models.bundle import Bundle
from models.errors import RuntimeUnavailableError
from models.runtimes.memory import Memory
from models.runtimes.onnx_runtime import PROVIDERS, available_providers
from models.sources import Sources
from service.auth.keys import KeyRing, RateLimiter
from service.engine.catalogue import Catalogue, Opening, watch
from service.engine.engine import Engine
from service.engine.model import Model, open_model
from service.engine.versions import VersionStore
from service.errors import UnavailableError
from service.images.uploads import Decoder
from service.jobs.queue import JobQueue, QueueSettings
from service.jobs.results import Results, open_results
from service.jobs.runner import JobRunner
from service.jobs.webhooks import Webhooks
from service.latents import LatentStore
from service.observability.metrics import Metrics
from service.observability.process_metrics import ProcessMetrics
from service.observability.start_tracing import open_tracing
from service.observability.tracing import Tracing
from service.redis.connect import check_server, connect
from service.redis.embedded import EmbeddedRedis
from service.redis.keys import RedisKeys
from service.settings import Settings

log = logging.getLogger("ganymede.state")
GC_EVERY = 20_000
"""Objects made between two collections: with Python's own 700, looking for cycles is a twentieth of a small request."""

READERS = 1
"""Threads that read sets for all clients together: each more would take the processor from small requests."""


@dataclass
class State:
    """Everything a request may need. `engine` is None in the api role; `draining` is set by SIGTERM."""

    settings: Settings
    metrics: Metrics
    catalogue: Catalogue
    versions: VersionStore
    engine: Engine | None
    encoders: ThreadPoolExecutor
    redis: Redis
    keys: RedisKeys
    results: Results | None
    latents: LatentStore
    directions: LatentStore
    uploads: Decoder
    jobs: JobQueue
    keyring: KeyRing | None
    limiter: RateLimiter
    tracing: Tracing
    runner: JobRunner | None = None
    searching: asyncio.Lock = field(default_factory=asyncio.Lock)
    readers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READERS))
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    process_metrics: ProcessMetrics | None = None
    draining: bool = False
    in_flight: int = 0
    opening: asyncio.Task[None] | None = None
    """Opens the bundles that are not the default one, while that is served already; None where all of them are open."""

    async def complete(self) -> None:
        """Return once every bundle is open, or refused."""
        if self.opening is not None:
            await asyncio.shield(self.opening)


async def build_state(settings: Settings, on_opened: Opening | None = None) -> State:
    """Load bundles, start the engine and the watchers. `on_opened` hears of each bundle that is waited for.

    A server that makes pictures for HTTP has its default bundle then, and `opening` opens the others.
    Raises RuntimeUnavailableError when the provider cannot be had.
    """
    metrics = Metrics()
    has_engine = settings.role != "api"
    device = resolve_device(settings) if has_engine else "cpu"
    opener = _opener(settings, device, has_engine)
    alone = device != "cpu" or settings.runtime == "auto"  # what is timed needs the processor for itself
    catalogue = Catalogue(sources_of(settings).look, opener, settings.default_model, 1 if alone else settings.cores)
    first = asyncio.create_task(asyncio.to_thread(catalogue.refresh, on_opened, only_default=settings.role == "all"))
    redis, close_redis = await open_redis(settings)  # meanwhile
    await first
    inline = device == "cpu" and settings.has_one_core
    tracing = open_tracing(settings.role)
    engine = Engine(metrics, settings.max_batch, settings.queue_pictures, inline, tracing) if has_engine else None
    encoders = ThreadPoolExecutor(settings.encode_threads or settings.cores, "ganymede-encode")
    keys = RedisKeys("{" + settings.redis_namespace + "}")
    versions = VersionStore(redis, keys)
    results = open_results(results_place(settings))
    latents, directions = (
        LatentStore(redis, keys, quota_per_model=settings.max_latents_per_model, what=what)
        for what in ("latent", "direction")
    )
    uploads = Decoder(settings)
    jobs = JobQueue(redis, keys, queue_settings(settings))
    keyring = KeyRing(settings.api_keys_file) if settings.api_keys_file else None
    state = State(
        settings, metrics, catalogue, versions, engine, encoders, redis, keys, results, latents, directions, uploads,
        jobs, keyring, RateLimiter(redis, keys), tracing,
    )  # fmt: skip
    metrics.follow("in_flight_requests", lambda: state.in_flight)
    metrics.follow("waiting_pictures", lambda: engine.waiting if engine is not None else 0)
    state.closers += [close_redis, uploads.close, jobs.close]
    await _open_others(state)
    _count_models(state)
    _start_tasks(state)
    _settle_memory()
    return state


def _start_tasks(state: State) -> None:
    """What runs as long as the process: webhooks, the watcher of bundles and versions, metrics of several processes."""
    settings, jobs = state.settings, state.jobs
    if settings.webhook_hosts:
        hooks = Webhooks(jobs, settings.webhook_secret, settings.webhook_hosts)
        state.tasks.append(asyncio.create_task(hooks.run(), name="webhooks"))
    decided = asyncio.Event()
    jobs.signals.listen("versions", lambda _: decided.set())
    watcher = watch(state.catalogue, state.versions, settings.bundle_poll_s, decided, lambda: _count_models(state))
    state.tasks.append(asyncio.create_task(watcher, name="catalogue"))
    if settings.processes > 1:
        _share_metrics(state)


async def _open_others(state: State) -> None:
    """Begin to open the bundles that are not open yet; wait for them where the one that is may not be all that counts."""
    decided = False
    with contextlib.suppress(UnavailableError):
        decided = state.catalogue.choose(await state.versions.read())
    state.opening = asyncio.create_task(_open_rest(state), name="opening")
    state.tasks.append(state.opening)
    if decided or not state.catalogue.all():
        await state.opening


async def _open_rest(state: State) -> None:
    try:
        await asyncio.to_thread(state.catalogue.refresh)
    except Exception:  # the watcher looks again; those who wait must not wait for ever
        log.exception("the bundles could not be opened")
    state.opening = None
    _count_models(state)
    _settle_memory()


def _settle_memory() -> None:
    """What lives as long as the process need not be looked at by every collection."""
    gc.freeze()
    gc.set_threshold(GC_EVERY, 10, 50)
    gc.enable()


def sources_of(settings: Settings) -> Sources:
    """Where the bundles come from; what is fetched is kept in the data folder."""
    return Sources(settings.bundles, settings.data_dir / "bundles", settings.bundle_fetch_s)


def results_place(settings: Settings) -> str | None:
    """Folder or URL of the results store: below the data folder where Redis is on this machine and nothing else is said."""
    local = settings.redis_url is None or settings.redis_url.startswith("unix:")
    return settings.results or (str(settings.data_dir / "results") if local else None)


def queue_settings(settings: Settings) -> QueueSettings:
    """What the queue takes from the settings; records outlive results, so that an expired one is known to be so."""
    return QueueSettings(
        max_jobs=settings.max_jobs,
        result_ttl_s=settings.job_result_ttl_s,
        record_ttl_s=max(settings.job_record_ttl_s, 2 * settings.job_result_ttl_s),
        attempts=settings.job_attempts,
        lease_s=settings.job_lease_s,
    )


def _share_metrics(state: State) -> None:
    settings = state.settings
    shared = ProcessMetrics(settings.data_dir / "processes", settings.process_index, settings.processes, state.metrics)
    state.process_metrics = shared

    async def leave() -> None:
        shared.remove()

    state.tasks.append(asyncio.create_task(shared.publish(), name="metrics"))
    state.closers.append(leave)


async def open_redis(settings: Settings) -> tuple[Redis, Callable[[], Awaitable[None]]]:
    """A client of the Redis in the settings, or of our own child, and what closes both. Raises NoServerError."""
    if settings.redis_url is not None:
        client = connect(settings.redis_url)
        for sentence in await _warnings(client):
            log.warning("redis: %s", sentence)
        return client, client.aclose
    child = EmbeddedRedis(settings.data_dir, appendfsync=settings.redis_appendfsync)
    client = connect(await child.start())

    async def close() -> None:
        await client.aclose()
        await child.stop()

    return client, close


async def _warnings(client: Redis) -> list[str]:
    try:
        return await check_server(client)
    except RedisError:
        return ["it cannot be reached; saved latents and jobs answer 503 until it can"]


async def close_state(state: State) -> None:
    """Stop watchers, engine and pools, in the reverse order of building."""
    for task in state.tasks:
        task.cancel()
    for end in await asyncio.gather(*state.tasks, return_exceptions=True):
        if isinstance(end, Exception):  # not a CancelledError
            log.error("a background task had failed", exc_info=end)
    for close in reversed(state.closers):
        await close()
    if state.engine is not None:
        await asyncio.to_thread(state.engine.close)
    state.encoders.shutdown(wait=False, cancel_futures=True)
    await asyncio.to_thread(state.tracing.close)


def resolve_device(settings: Settings) -> str:
    """`cpu` or `cuda`. Raises RuntimeUnavailableError with one clear sentence when the provider asked for is not there."""
    if settings.runtime not in ("onnx", "auto"):
        return "cpu" if settings.provider == "auto" else settings.provider
    _refuse_two_runtimes()
    have = available_providers()
    if not have:
        raise RuntimeUnavailableError("no ONNX Runtime is installed; install ganymede[cpu] or ganymede[gpu]")
    if settings.provider == "auto":
        return "cuda" if PROVIDERS["cuda"] in have else "cpu"
    if PROVIDERS[settings.provider] not in have:
        raise RuntimeUnavailableError(
            f"provider {settings.provider!r} was asked for, but the installed ONNX Runtime has only {', '.join(have)}"
        )
    return settings.provider


def _refuse_two_runtimes() -> None:
    """The CPU and the GPU wheel overwrite each other's files: which one answers then is chance."""
    if _is_installed("onnxruntime") and _is_installed("onnxruntime-gpu"):
        raise RuntimeUnavailableError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; "
            "pip uninstall both, then install ganymede[cpu] or ganymede[gpu]"
        )


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _opener(settings: Settings, device: str, has_engine: bool) -> Callable[[Bundle], Model]:
    if not has_engine:
        return Model
    memory = Memory(settings.measurements_file)
    threads, largest = settings.engine_threads, settings.max_batch
    return lambda bundle: open_model(bundle, settings.runtime, device, threads, largest, memory)


def _count_models(state: State) -> None:
    state.metrics.set("models_loaded", len(state.catalogue.all()))
    state.metrics.set("bundles_refused", len(state.catalogue.refused))
