"""`ganymede bench`: how fast a running server is, seen from here. The comparison with other servers is `make bench`."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import typer

from service.cli.application import app
from service.cli.config import Login, login_for
from service.cli.output import fail, note, show
from service.cli.remote import Model, Url, client


@dataclass
class Tally:
    """What came back: seconds of each answered request, and refusals by status."""

    seconds: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)


@app.command()
def bench(
    model: Model = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Pictures a request.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to measure.")] = 5.0,
    parallel: Annotated[int, typer.Option(min=1, max=1024, help="Requests under way at once.")] = 8,
    url: Url = None,
) -> None:
    """Measure a running server. Example: ganymede bench -m faces64 --parallel 16 --seconds 2"""
    with client(url) as ganymede:
        ganymede.models()  # no server is a sentence, and not a crash in the middle
    note(f"{parallel} requests at once for {seconds:g} s")
    try:
        tally = asyncio.run(_load(login_for(url), {"model": model, "n": n}, seconds, parallel))
    except httpx.TransportError as error:
        fail(f"the server went away: {error}", code=3)
    found = figures(tally, n, seconds)
    show(found, "\n".join(f"{key:18} {value}" for key, value in found.items()))


async def _load(login: Login, body: dict[str, Any], seconds: float, parallel: int) -> Tally:
    """Every caller sends its next request when the last is answered, each with seeds of its own."""
    key = login.key
    headers = {"accept": "image/png"} | ({"authorization": f"Bearer {key}"} if key else {})
    given = {name: value for name, value in body.items() if value is not None}
    limits = httpx.Limits(max_connections=parallel, max_keepalive_connections=parallel)
    tally, end = Tally(), time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=login.url, headers=headers, timeout=60, limits=limits) as http:
        await asyncio.gather(*(_caller(http, given, seed, end, tally) for seed in range(parallel)))
    return tally


async def _caller(http: httpx.AsyncClient, body: dict[str, Any], seed: int, end: float, tally: Tally) -> None:
    while (begun := time.perf_counter()) < end:
        answer = await http.post("/sample", json={**body, "seed": seed})
        seed += 1024
        if answer.status_code == 200:
            tally.seconds.append(time.perf_counter() - begun)
        else:
            tally.refused[answer.status_code] = tally.refused.get(answer.status_code, 0) + 1


def figures(tally: Tally, n: int, seconds: float) -> dict[str, Any]:
    """Rates a second and latencies in ms. Ends the command when nothing was answered."""
    if not tally.seconds:
        fail(f"nothing was answered; refused: {tally.refused}. See what there is: ganymede models")
    marks = statistics.quantiles(tally.seconds, n=100, method="inclusive") if len(tally.seconds) > 1 else []
    p50, p99 = (marks[49], marks[98]) if marks else (tally.seconds[0],) * 2
    rate = len(tally.seconds) / seconds
    return {
        "requests": len(tally.seconds),
        "requests_per_s": round(rate, 1),
        "pictures_per_s": round(rate * n, 1),
        "p50_ms": round(p50 * 1e3, 2),
        "p99_ms": round(p99 * 1e3, 2),
        "refused": {str(status): count for status, count in sorted(tally.refused.items())},
    }
