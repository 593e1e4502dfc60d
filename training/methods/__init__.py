"""What a step is made of, one paper a file: losses, augmentation, averages, the pyramid as torch modules.

Pure functions and small modules; no loop, no optimiser.
May import: training.compute, models.mathematics.
"""
