"""The signature of a model's weights, beside the file in the artefact store.

    sign_model(folder, model, key=weights_key, signer=signer)      # once, at the centre
    problems = weights_problems(folder, model, register=key)       # T2: before REGISTERED

`DIGEST.sig` is the signature, `KEY.weights-key.json` the register's word for its key.
"""

from pathlib import Path

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.registry import ArtefactError
from federation.errors.witness import WeightsSignatureError
from federation.evidence.model_version import ModelFile
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.evidence.weights import (
    MAX_SIGNATURE_BYTES,
    key_hint,
    new_weights_key,
    public_pem,
    sign_weights,
    verify_weights,
    vouch_for,
    vouched_key,
)
from federation.storage import write_atomic
from federation.wording import Text
from registry.models.artefacts import model_file

_NONE = Text(en="there is no signature beside the file", zh="檔案旁沒有簽章")


def sign_model(folder: Path, model: ModelFile, *, key: Path, signer: Signer) -> Path:
    """Sign a model file of the artefact store; return the path of the signature.

    Parameters
    ----------
    key
        The private key for weights (P-256, PEM); made if it is not there.
    signer
        The register's evidence key, which vouches for it.

    Raises
    ------
    ArtefactError
        If the file is not the one that `model` names.
    WeightsSignatureError
        If the package model-signing is not installed, or the key cannot be used.
    """
    path = model_file(folder, model)
    pem = public_pem(key) if key.exists() else new_weights_key(key)
    signature = sign_weights(path, key)
    write_atomic(_key_path(path, signature), vouch_for(pem, signer).encode(), mode=0o644)
    write_atomic(_signature_path(path), signature, mode=0o644)
    return _signature_path(path)


def signed_weights(folder: Path, model: ModelFile, *, register: PublicKey) -> tuple[bytes, bytes]:
    """Return signature and public key (PEM) of a model file, both verified.

    Raises
    ------
    ArtefactError
        If the file is not the one that `model` names.
    WeightsSignatureError
        If there is no signature, or it does not hold.
    """
    path = model_file(folder, model)
    signature = _read(_signature_path(path))
    pem = vouched_key(_read(_key_path(path, signature)), register=register)
    verify_weights(signature, sha256=Sha256(model.sha256), pem=pem)
    return signature, pem


def kept_signature(
    folder: Path, model: ModelFile, *, register: PublicKey
) -> tuple[bytes, bytes] | None:
    """Return a model's signature and the register's word for its key; None where it has none.

    The model file itself is not read: it may lie elsewhere by now.

    Raises
    ------
    WeightsSignatureError
        If there is a signature that does not hold for the file that `model` names.
    """
    path = folder / model.path
    if not _signature_path(path).is_file():
        return None
    signature = _read(_signature_path(path))
    word = _read(_key_path(path, signature))
    pem = vouched_key(word, register=register)
    verify_weights(signature, sha256=Sha256(model.sha256), pem=pem)
    return signature, word


def weights_problems(folder: Path, model: ModelFile, *, register: PublicKey) -> list[PlatformError]:
    """Return what is wrong with a model's signature, nothing if it holds."""
    try:
        signed_weights(folder, model, register=register)
    except (WeightsSignatureError, ArtefactError) as error:
        return [error]
    return []


def _signature_path(model: Path) -> Path:
    return model.with_suffix(".sig")


def _key_path(model: Path, signature: bytes) -> Path:
    return model.with_name(f"{key_hint(signature)[:32]}.weights-key.json")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIGNATURE_BYTES + 1)
    except OSError as error:
        raise WeightsSignatureError(why=_NONE) from error
