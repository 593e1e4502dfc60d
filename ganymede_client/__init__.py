"""Python client of a Ganymede server: `Client` and `AsyncClient`, one method per endpoint. Needs httpx only.

from ganymede_client import Client

with Client("http://127.0.0.1:8000") as ganymede:
    faces = ganymede.sample(model="faces64", n=16, seed=7)
    faces.sheet.save("faces.png")
"""

from ganymede_client.aio import AsyncClient, AsyncJob
from ganymede_client.client import Client, Job
from ganymede_client.errors import GanymedeError, JobFailedError, ServerError, TransportError
from ganymede_client.results import Picture, Pictures

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "GanymedeError",
    "Job",
    "JobFailedError",
    "Picture",
    "Pictures",
    "ServerError",
    "TransportError",
]
