"""HTTP: the application, its gate, its routes, problems and negotiation, and uvicorn around them.

The only room that may import fastapi, starlette and uvicorn.
May import: every room below it (operations and what operations uses, processes), never service.cli.
"""
