"""A bundle on disk: `folder` reads, verifies and writes it; `graph_file` finds what an ONNX file keeps outside itself.

May import: models.manifest, models.errors.
"""

from models.bundle.folder import (
    MANIFEST_NAME,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    Bundle,
    name_of,
    publish,
    read_bundle,
    record_files,
    safe_path,
    sha256_of,
    staging_folder,
    write_manifest,
)

__all__ = [
    "MANIFEST_NAME",
    "MAX_FILE_BYTES",
    "MAX_MANIFEST_BYTES",
    "Bundle",
    "name_of",
    "publish",
    "read_bundle",
    "record_files",
    "safe_path",
    "sha256_of",
    "staging_folder",
    "write_manifest",
]
