"""Pure functions on arrays: latents, walks between them, directions, the Laplacian pyramid.

For whoever draws, cuts or combines vectors and pictures without a runtime.
May import: models.bundle, models.manifest, models.errors, NumPy.
"""
