"""Looking inside a shipped bundle: what its discriminator has learned, and which maps of its generator draw what.

Works on networks rebuilt from a bundle, never on a run.
May import: training.classifiers, algorithms, networks, data, recipes.
"""
