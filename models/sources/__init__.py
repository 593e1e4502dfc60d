"""Where bundles come from besides a folder: zips, object stores, the web; all by way of a local cache by digest.

May import: models.bundle, models.manifest, models.errors; fsspec only where a URL is opened (`remote.py`).
"""

from models.sources.cache import Sources

__all__ = ["Sources"]
