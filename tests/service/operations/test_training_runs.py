"""The studio's view of run folders: curves, grids, and a warning when samples have grown alike."""

import json
from pathlib import Path

import httpx

from tests.conftest import ClientFactory


def make_run(root: Path, name: str, rows: list[dict[str, float]], steps: tuple[int, ...] = ()) -> None:
    """A run folder as the training package writes it, ending in a half-written line."""
    grids = root / name / "grids"
    grids.mkdir(parents=True)
    lines = "\n".join(json.dumps(row) for row in rows)
    (root / name / "stats.jsonl").write_text(lines + '\n{"step": 99')
    for step in steps:
        (grids / f"step-{step:08d}.png").write_bytes(b"\x89PNG grid")


async def test_runs_curves_and_grids(client_with: ClientFactory, tmp_path: Path) -> None:
    """A run is listed with its latest step; its curves are thinned, keep both ends, and ignore the half-written line."""
    rows = [{"step": k, "images": 64 * k, "seconds": k / 2, "generator_loss": 1 / k} for k in range(1, 1001)]
    make_run(tmp_path, "faces", rows, (500, 1000))
    async with client_with(runs_dir=tmp_path) as client:
        (row,) = (await client.get("/training/runs")).json()["data"]
        assert (row["name"], row["step"], row["images"], row["grids"]) == ("faces", 1000, 64000, [500, 1000])
        curve = (await client.get(row["url"])).json()["curves"]["generator_loss"]
        assert len(curve) == 400
        assert (curve[0], curve[-1]) == ([1, 1.0], [1000, 0.001])
        grid = await client.get(f"{row['url']}/grids/500.png")
        assert (grid.content, grid.headers["content-type"]) == (b"\x89PNG grid", "image/png")
        assert (await client.get(f"{row['url']}/grids/7.png")).status_code == 404


async def test_collapse_is_named(client_with: ClientFactory, tmp_path: Path) -> None:
    """The latest diversity decides, whatever it was before."""
    make_run(tmp_path, "well", [{"step": 1, "diversity_ratio": 0.1}, {"step": 2, "diversity_ratio": 0.9}])
    make_run(tmp_path, "ill", [{"step": 1, "diversity_ratio": 0.9}, {"step": 2, "diversity_ratio": 0.1}])
    async with client_with(runs_dir=tmp_path) as client:
        runs = {row["name"]: row["collapsed"] for row in (await client.get("/training/runs")).json()["data"]}
        assert runs == {"well": False, "ill": True}


async def test_nothing_outside_the_folder(
    client_with: ClientFactory, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """Names that climb find nothing, and a server without run folders says so with an empty list."""
    make_run(tmp_path / "runs", "run", [{"step": 1}])
    make_run(tmp_path, "outside", [{"step": 1}])
    async with client_with(runs_dir=tmp_path / "runs") as inside:
        for name in ("..", "%2e%2e%2foutside", "..%2Foutside", "outside"):
            assert (await inside.get(f"/training/runs/{name}")).status_code in {404, 422}, name
    assert (await client.get("/training/runs")).json() == {"data": [], "next_cursor": None}
