"""The recipe a PNG carries: everything needed to make the picture again, and the mark that says a machine made it."""

import json
from typing import Any, Literal

from service.images.png import itxt, text

Recipe = dict[str, Any]
Metadata = Literal["full", "minimal", "none"]
CHUNK = "ganymede"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MAX_CHUNK_BYTES = 4 << 20
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_XMP_CHUNK = itxt("XML:com.adobe.xmp", _XMP)
_as_json = json.JSONEncoder(
    sort_keys=True, separators=(",", ":")
).encode  # made once: building it costs more than using it


def png_chunks(recipe: Recipe | None, metadata: Metadata) -> bytes:
    """iTXt `ganymede` with the recipe (full only), tEXt `parameters` for people, the IPTC digital source type."""
    if metadata == "none" or recipe is None:
        return b""
    line = text("parameters", parameters_line(recipe))
    if metadata == "minimal":
        return line + _XMP_CHUNK
    data = _as_json(recipe)
    return itxt(CHUNK, data, compressed=len(data) > 1024) + line + _XMP_CHUNK


def xmp_packet(metadata: Metadata) -> bytes:
    """The digital source type as XMP for WebP and JPEG; empty when no metadata is wanted."""
    return b"" if metadata == "none" else _XMP.encode()


def parameters_line(recipe: Recipe) -> str:
    """One readable line: `faces64@1234 seed 7, truncation 0.8`. Latin-1 only, as tEXt demands."""
    shown = {
        k: v for k, v in recipe.items() if k not in {"model", "version", "op", "latent", "items"} and v is not None
    }
    items = recipe.get("items")
    if isinstance(items, list):
        shown["pictures"] = len(items)
    words = ", ".join(f"{key} {value}" for key, value in shown.items())
    return f"{recipe.get('model', '')} {words}".strip().encode("latin-1", "replace").decode("latin-1")
