"""Pictures from strangers: looked at, refused or decoded, without trusting a byte of them."""

from service.uploads.decode import Decoded
from service.uploads.decoder import Decoder
from service.uploads.header import Header, read_header
from service.uploads.limits import check_upload

__all__ = ["Decoded", "Decoder", "Header", "check_upload", "read_header"]
