"""Batching by picture: the pure policy, the device thread, the served bundles."""
