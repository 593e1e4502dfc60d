"""Saved latents and directions: one durable store in Redis, their names, and the expressions over them.

Vectors come in and go out as arrays; which model made them is a label here.
May import: models.mathematics, service.redis, service.errors.
"""

from service.latents.record import Draft, Parent, Saved
from service.latents.store import LatentStore, Page

__all__ = ["Draft", "LatentStore", "Page", "Parent", "Saved"]
