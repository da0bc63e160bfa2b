"""Look at a model file before it is registered, without loading it.

Reads the safetensors header only (github.com/huggingface/safetensors, format):
eight bytes of length, little-endian, then JSON. Nothing in it can run.
"""

import hashlib
from math import prod
from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors.registry import ArtefactError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import parse
from federation.evidence.model_version import ModelFile

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 16 * 2**20


def model_file(folder: Path, model: ModelFile) -> Path:
    """Return the file in the artefact folder that `model` names, checked.

    Raises
    ------
    ArtefactError
        If it is missing, outside the folder, or differs in size, digest,
        format or number of parameters.
    """
    path = folder / model.path
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise ArtefactError(path=model.path, why="it is not in the artefact store")
    if path.stat().st_size != model.size_bytes:
        raise ArtefactError(path=model.path, why="its size differs")
    if digest_of_file(path) != model.sha256:
        raise ArtefactError(path=model.path, why="its digest differs")
    if _parameters(path, model) != model.parameters:
        raise ArtefactError(path=model.path, why="its number of parameters differs")
    return path


def digest_of_file(path: Path) -> Sha256:
    """Return the content id of a file."""
    with path.open("rb") as file:
        return Sha256("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


def _parameters(path: Path, model: ModelFile) -> int:
    header = _header(path, model)
    total = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        match tensor:
            case {"shape": list(shape)} if all(isinstance(size, int) for size in shape):
                total += prod(shape)
            case _:
                raise ArtefactError(path=model.path, why="it is not a safetensors file")
    return total


def _header(path: Path, model: ModelFile) -> dict[str, object]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > min(_MAX_HEADER_BYTES, model.size_bytes):
            raise ArtefactError(path=model.path, why="it is not a safetensors file")
        content = file.read(length)
    try:
        header = parse(content)
    except NotCanonicalError as error:
        raise ArtefactError(path=model.path, why="it is not a safetensors file") from error
    if not isinstance(header, dict):
        raise ArtefactError(path=model.path, why="it is not a safetensors file")
    return header
