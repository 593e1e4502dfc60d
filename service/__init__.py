"""The web service: engine, operations, routes. Never imports training."""
