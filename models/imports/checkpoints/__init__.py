"""Weights without a network: find the generator's, read its layers from names and shapes, write them as a graph."""
