"""The operations, one row each. A new feature is operations/<name>.py, routes/<name>.py and a row here."""

from service.operations.base import Operation
from service.operations.sample import SampleRequest, sample

OPERATIONS: dict[str, Operation] = {
    row.name: row for row in (Operation("sample", SampleRequest, sample, cost=lambda request: request.count),)
}
