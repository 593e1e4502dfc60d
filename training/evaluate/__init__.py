"""Scores of a finished bundle: what is served is measured, never the network in training."""
