"""The shared language of training and service: bundles, latents, runtimes.

Imports neither of them. What is listed in `__all__` is the package's face; the rest is reached by its module.
"""

from models.bundle import Bundle, read_bundle
from models.errors import ModelsError
from models.manifest import Manifest
from models.runtimes import open_runtime

__all__ = ["Bundle", "Manifest", "ModelsError", "open_runtime", "read_bundle"]
