"""The way below ASGI for pictures of seeds: the same answers, without task, scope and framework.

With it switched off every request takes the ordinary way; what it buys is in docs/experiments.md.
May import: service.http.gate and problems, operations, engine, images, processes.
"""
