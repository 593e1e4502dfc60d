"""Plain torch modules; they know shapes, not losses or optimisers.

One family of networks a file, shared layers beside them.
May import: training.methods, training.recipes.
"""
