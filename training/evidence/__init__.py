"""Evidence: one command a page of docs/evidence, measuring shipped bundles on pictures they never saw.

Every figure is kept as a fact before a page is written.
May import: every room of training but cli.
"""
