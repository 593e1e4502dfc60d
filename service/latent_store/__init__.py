"""Saved latents and directions: one durable store in Redis, shared by every replica."""

from service.latent_store.record import Draft, Parent, Saved
from service.latent_store.store import LatentStore, Page

__all__ = ["Draft", "LatentStore", "Page", "Parent", "Saved"]
