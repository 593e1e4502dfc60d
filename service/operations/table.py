"""The operations, one row each. A new feature is operations/<name>.py, http/routes/<name>.py and a row here."""

from operator import attrgetter

from service.operations.arithmetic import ArithmeticRequest, arithmetic, around
from service.operations.base import Operation
from service.operations.directions import DirectionRequest, direction
from service.operations.discriminator import DiscriminatorRequest, classify, features
from service.operations.interpolate import InterpolateRequest, interpolate
from service.operations.project import ProjectRequest, project_picture
from service.operations.redo import RedoRequest, redo
from service.operations.requests import pin_seed
from service.operations.sample import SampleRequest, sample
from service.operations.upsample import UpsampleRequest, upsample

_count, _frames, _variants = attrgetter("count"), attrgetter("frames"), attrgetter("variants")

OPERATIONS: dict[str, Operation] = {
    row.name: row
    for row in (
        Operation("sample", SampleRequest, sample, _count, pin_seed, _count),
        Operation("arithmetic", ArithmeticRequest, arithmetic, _count, pictures=around),
        Operation("direction", DirectionRequest, direction, _count),
        Operation("interpolate", InterpolateRequest, interpolate, _frames, pictures=_frames),
        Operation("upsample", UpsampleRequest, upsample, lambda request: request.cost, pin_seed, _variants),
        Operation("classify", DiscriminatorRequest, classify, cost=lambda request: 1),
        Operation("features", DiscriminatorRequest, features, cost=lambda request: 1),
        Operation("project", ProjectRequest, project_picture, _count),
        Operation("redo", RedoRequest, redo, attrgetter("cost"), pictures=attrgetter("pictures")),
    )
}
