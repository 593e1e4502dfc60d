"""A durable job queue on Redis: accepted work is never lost. Knows nothing of models, pictures or HTTP."""
