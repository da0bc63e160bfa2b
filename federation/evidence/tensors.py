"""The digest by which sites name a model, taken from its safetensors file in a bundle.

Sites sign the SHA-256 over the little-endian float32 values in the order of the recipe;
the file keeps its tensors by name and says that order in its metadata. So a reader sees
that the weights of a bundle are those that the sites evaluated. Nothing in it can run.
"""

import hashlib

from federation.domain.ids import Sha256
from federation.evidence.archive import Archive
from federation.evidence.canonical import parse

_ORDER = "trifed-manifest"
_MAX_HEADER_BYTES = 2**24
_LENGTH_BYTES = 8


def weights_digest(archive: Archive, name: str) -> Sha256 | None:
    """Return the digest over the tensors of a member, None where their order is not said.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError, PlatformError
        If it is no safetensors file.
    """
    length = int.from_bytes(archive.part(name, 0, _LENGTH_BYTES), "little")
    begin = _LENGTH_BYTES + length
    if length > _MAX_HEADER_BYTES:
        raise ValueError("a header over 16 MiB")
    header = parse(archive.part(name, _LENGTH_BYTES, begin))
    if not isinstance(header, dict):
        raise ValueError("not a safetensors file")
    told = header.get("__metadata__", {}).get(_ORDER)
    if not told:
        return None
    found, listed = hashlib.sha256(), parse(told)
    if not isinstance(listed, list):
        raise ValueError("not a list of tensors")
    names = [name for name, _shape in listed]
    if len(set(names)) != len(names):
        raise ValueError("a tensor is listed twice")
    for tensor in names:
        start, end = header[tensor]["data_offsets"]
        if start < 0:
            raise ValueError("a place outside the tensors")
        found.update(archive.part(name, begin + start, begin + end))
    return Sha256("sha256:" + found.hexdigest())
