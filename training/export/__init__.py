"""From a checkpoint to a bundle: graphs, checks, manifest, card, preview, provenance.

What is written is reopened through models.runtimes and compared before it is published.
May import: training.run, algorithms, data, recipes, compute.
"""
