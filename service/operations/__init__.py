"""What a request means, without HTTP: typed request in, typed result out.

HTTP, jobs, the command line and the benchmark all call these; `state` builds everything they run on.
May import: engine, jobs, latents, images, auth, redis, observability, settings; never fastapi or starlette.
"""
