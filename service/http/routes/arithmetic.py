"""POST /arithmetic: latents added and subtracted, and what that looks like."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.http.openapi import PICTURES
from service.http.responses.answers import answer
from service.operations.arithmetic import ArithmeticRequest

router = APIRouter(tags=["latents"])


@router.post("/arithmetic", responses=PICTURES, response_class=Response, summary="Combine saved latents")
async def post_arithmetic(request: Request, body: ArithmeticRequest) -> Response:
    """`mean(a1, a2, a3) - mean(b1, b2, b3) + mean(c1, c2, c3)`; also `seed(7)`, `dir(smiling)`, `lerp`, `slerp`."""
    return await answer(request, "arithmetic", body)
