"""A durable job queue on Redis: accepted work is never lost.

Knows nothing of models, pictures or HTTP; what a job does is handed in.
May import: service.redis, service.observability, service.errors.
"""
