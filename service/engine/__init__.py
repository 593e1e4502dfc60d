"""Batching by picture: the pure policy, the device thread, the served bundles.

Latents in, pictures out; knows nothing of HTTP, requests or files.
May import: models, service.observability, service.errors.
"""
