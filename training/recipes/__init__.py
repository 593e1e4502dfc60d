"""Recipes: the TOML files, what a recipe may say, and how one is resolved.

The resolved recipe is the record of a run.
May import: training.errors.
"""
