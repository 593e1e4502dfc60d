"""Evidence: one command a page of docs/evidence, measuring shipped bundles on pictures they never saw."""
