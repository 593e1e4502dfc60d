"""What an operator sees: log lines, metrics, traces, and the figures of several processes together.

Imported by every room, so it knows none of them.
May import: service.errors.
"""
