"""Scores of a finished bundle: what is served is measured, never the network in training.

Distances, classes, neighbours; one suite that writes them into the bundle.
May import: training.classifiers, export, run, data, recipes, compute.
"""
