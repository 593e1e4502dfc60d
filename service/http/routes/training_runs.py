"""GET /training/runs: the runs in `runs_dir`, their curves and fixed-seed grids, for the studio."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response

from service.http.openapi import FILE, document
from service.http.state import state_of
from service.operations.training_runs import grid_file, list_runs, one_run

router = APIRouter(tags=["training"])
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
Step = Annotated[int, Path(ge=0, le=99_999_999)]


@router.get("/training/runs", responses=document("RunPage"), summary="Training runs, the latest first")
def get_runs(request: Request) -> dict[str, Any]:
    """Empty where the setting runs_dir is absent: a serving machine usually trains nothing."""
    state = state_of(request.app)
    return {"data": list_runs(state.settings.runs_dir), "next_cursor": None}


@router.get("/training/runs/{name}", responses=document("RunWithCurves"), summary="One run with its curves")
def get_run(request: Request, name: Name) -> dict[str, Any]:
    """Curves as [step, value]; `collapsed` says whether its samples have grown alike."""
    state = state_of(request.app)
    return one_run(state.settings.runs_dir, name)


@router.get("/training/runs/{name}/grids/{step}.png", responses=FILE, response_class=Response, summary="A grid")
def get_grid(request: Request, name: Name, step: Step) -> Response:
    """The same seeds at every step, so that a scrubber shows a network learning."""
    state = state_of(request.app)
    path = grid_file(state.settings.runs_dir, name, step)
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": "public, max-age=3600"})
