"""One training run: the loop, its folder, checkpoints, statistics, sample grids and progress.

Knows no particular GAN; the algorithm is handed to it.
May import: training.algorithms, data, recipes, compute.
"""
