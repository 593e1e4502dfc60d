"""Latent arithmetic, measured by a classifier: `python -m bench.arithmetic` writes docs/evidence/arithmetic.md."""
