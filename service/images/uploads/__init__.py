"""Pictures from strangers: looked at, refused or decoded, without trusting a byte of them."""

from service.images.uploads.decode import Decoded
from service.images.uploads.decoder import Decoder
from service.images.uploads.header import Header, read_header
from service.images.uploads.limits import check_upload

__all__ = ["Decoded", "Decoder", "Header", "check_upload", "read_header"]
