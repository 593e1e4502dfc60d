"""POST /sample: pictures from seeds or latents."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.json_route import JsonRoute
from service.http.openapi import PICTURES
from service.http.responses.answers import answer
from service.http.state import state_of
from service.operations.sample import SampleRequest
from service.operations.sets import precheck_either

router = APIRouter(tags=["pictures"], route_class=JsonRoute)


@router.post("/sample", responses=PICTURES, response_class=Response, summary="Make pictures from seeds or latents")
async def post_sample(request: Request, body: SampleRequest) -> Response:
    """One seed, one picture: `seed: s, n: k` means seeds s … s+k−1, and every answer says which were used."""
    state = state_of(request.app)
    precheck_either(state, body)
    return await answer(request, "sample", body)
