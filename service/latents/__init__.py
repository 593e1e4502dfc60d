"""Saved latents and directions: one durable store in Redis, shared by every replica."""

from service.latents.record import Draft, Parent, Saved
from service.latents.store import LatentStore, Page

__all__ = ["Draft", "LatentStore", "Page", "Parent", "Saved"]
