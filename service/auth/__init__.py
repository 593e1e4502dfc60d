"""Who may ask: the file of API keys, their scopes, and the limiter that counts requests.

Knows nothing of HTTP; `service.http.admission` asks it.
May import: service.redis, service.errors.
"""
