"""`ganymede`: parse, delegate, exit. One file a noun; the training package adds its commands by an entry point."""
