"""Pixels to files and back: encoders, contact sheets, the recipe inside a PNG."""
