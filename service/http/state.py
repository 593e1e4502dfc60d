"""The running state, for whatever answers a request."""

from fastapi import FastAPI

from service.operations.state import State


def state_of(app: FastAPI) -> State:
    """The running state of an application, such as a request's `request.app`."""
    state: State = app.state.ganymede
    return state
