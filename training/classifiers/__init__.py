"""Networks that judge pictures: attributes, classes of a labelled set, directions learnt from them.

They measure generators and find directions; no generator is trained with them.
May import: training.export, run, networks, data, recipes, compute.
"""
