"""The way below ASGI for one picture of a seed: the same answers, without task, scope and framework.

With it switched off every request takes the ordinary way; what it buys is in docs/experiments.md.
May import: service.http.gate and problems, operations, engine, images, processes.
"""
