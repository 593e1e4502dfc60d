"""The HTTP server beside the bare runtime loop and its rivals: what is started, what is asked of it, what is written down."""
