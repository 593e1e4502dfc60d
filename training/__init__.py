"""Trains GANs and exports them as bundles; knows nothing of the service."""
