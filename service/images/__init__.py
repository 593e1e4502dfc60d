"""Pixels to files and back: encoders, contact sheets, the recipe inside a PNG, and uploads.

Knows nothing of models or requests.
May import: service.settings, service.errors.
"""
