"""Several processes behind one port: the supervisor, its children, connections shared evenly.

What a child serves is handed in by service.http.server.
May import: service.redis, service.settings.
"""
