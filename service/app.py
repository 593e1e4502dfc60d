"""The FastAPI application: middleware, routers and handlers, in order."""
