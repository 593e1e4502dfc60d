"""`ganymede worker`: an engine and a job runner; over HTTP only health and metrics. It shares the API's Redis."""

from service.cli.output import fail
from service.cli.serve import run
from service.settings import Settings

PORT = 8001  # beside an API on the same machine


def work(settings: Settings) -> None:
    """Work until SIGTERM: then take nothing more, finish what runs, hand back the rest.

    Ends the command with a sentence when no Redis is named that an API could share.
    """
    if settings.redis_url is None and not (settings.data_dir / "redis.sock").exists():
        fail("a worker needs GANYMEDE_REDIS_URL, or the data folder of a running server")
    run(settings)
