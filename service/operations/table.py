"""The operations, one row each. A new feature is operations/<name>.py, routes/<name>.py and a row here."""

from service.operations.arithmetic import ArithmeticRequest, arithmetic
from service.operations.base import Operation
from service.operations.directions import DirectionRequest, direction
from service.operations.interpolate import InterpolateRequest, interpolate
from service.operations.judge import JudgeRequest, classify, features
from service.operations.project import ProjectRequest, project_picture
from service.operations.sample import SampleRequest, pin_seed, sample, split_sample
from service.operations.upsample import UpsampleRequest, pin_upsample, upsample

OPERATIONS: dict[str, Operation] = {
    row.name: row
    for row in (
        Operation("sample", SampleRequest, sample, lambda request: request.count, pin=pin_seed, split=split_sample),
        Operation("arithmetic", ArithmeticRequest, arithmetic, cost=lambda request: request.count),
        Operation("direction", DirectionRequest, direction, cost=lambda request: request.count),
        Operation("interpolate", InterpolateRequest, interpolate, cost=lambda request: request.frames),
        Operation("upsample", UpsampleRequest, upsample, lambda request: request.cost, pin=pin_upsample),
        Operation("classify", JudgeRequest, classify, cost=lambda request: 1),
        Operation("features", JudgeRequest, features, cost=lambda request: 1),
        Operation("project", ProjectRequest, project_picture, cost=lambda request: request.count),
    )
}
