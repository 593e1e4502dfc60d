"""Finds pictures in folders, zips, idx files and sheets, and turns them into one uint8 tensor in memory.

Knows no network and no loss.
May import: training.recipes, training.compute, training.errors.
"""
