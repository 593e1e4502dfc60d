"""The commands: parse, delegate, exit, one file a noun.

Entry points of `ganymede`; nothing else imports this room.
May import: every other room of training.
"""
