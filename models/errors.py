"""The errors of bundles, latents and runtimes.

ModelsError
├── ManifestError          a manifest that does not say what it must
├── BundleError            a folder that is not what its manifest says
│   ├── ChecksumError      a file's bytes differ from the manifest's sha256
│   └── UnsafePathError    a file name that leaves the bundle's folder
├── LatentError            a latent of the wrong length, type or value
├── ImportRefusedError       a foreign file that cannot be made a bundle
└── RuntimeUnavailableError  the runtime or provider asked for cannot be had here
"""


class ModelsError(Exception):
    """Root of every error this package raises on purpose; its text is fit for a user."""


class ManifestError(ModelsError):
    """A manifest that is missing, malformed, of an unknown version or at odds with itself."""


class BundleError(ModelsError):
    """A bundle folder that is incomplete, too large or does not match its manifest."""


class ChecksumError(BundleError):
    """A file whose bytes are not those the manifest vouches for."""


class UnsafePathError(BundleError):
    """A file name that is absolute, climbs out of the folder or is a symbolic link."""


class LatentError(ModelsError):
    """A latent vector of the wrong length, with values that are not finite, or of another prior."""


class ImportRefusedError(ModelsError):
    """A foreign file that is damaged, dangerous, not understood, or whose pictures cannot be trusted; says what to do."""


class RuntimeUnavailableError(ModelsError):
    """The runtime, file format or execution provider asked for is not available on this machine."""
