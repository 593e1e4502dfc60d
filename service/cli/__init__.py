"""`ganymede`: parse, delegate, exit. One file a noun.

The training package adds its commands by an entry point.
May import: every room of the service; nothing imports it.
"""

import gc

gc.set_threshold(1_000_000, 10, 50)
"""What imports make stays; looking through it is a seventh of a server's start at every 700 new objects, a tenth at 20,000."""
