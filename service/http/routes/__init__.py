"""One file an endpoint: what it takes, which operation it asks, how it is documented.

No meaning of a request lives here; that is service.operations.
May import: service.http.responses and the modules beside it in service.http, operations, latents, jobs.
"""
