"""Keep artefacts on another machine: any object store that fsspec speaks, S3 first.

A `Bucket` moves whole files by name and knows nothing of digests; `Artefacts`
checks every byte that comes back. Credentials come from the environment or the
profile of the account that runs the centre (AWS_PROFILE, AWS_ENDPOINT_URL_S3 ...),
never from a URL. The only module that knows fsspec.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from federation.coordinator.places import checked_artefact_url
from federation.errors.storage import (
    ArtefactSettingError,
    ArtefactStoreRefusedError,
    ArtefactStoreUnavailableError,
)
from federation.storage import FULL, disk_full_as_error
from federation.wording import Text

_WHOLE_UPLOADS = frozenset({"s3", "gs", "az"})
"""Stores where an object appears when all of it has arrived, and not before."""

_PIECE_BYTES = 1 << 20

_S3 = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}}

_NO_DRIVER = Text(
    en="the driver for this kind of store is not installed (for S3: trifed[s3])",
    zh="未安裝此類成品庫的驅動程式(S3 為 trifed[s3])",
)


class Bucket(Protocol):
    """Whole files by name, on another machine.

    Every method raises `ArtefactStoreUnavailableError` when the store does not
    answer (passing) and `ArtefactStoreRefusedError` when it says no.
    """

    def size_of(self, name: str) -> int | None:
        """Return a file's bytes, or None if there is none of this name."""

    def send(self, source: Path, name: str) -> None:
        """Keep a file under a name; it appears whole or not at all."""

    def fetch(self, name: str, target: BinaryIO) -> bool:
        """Write a file's content to `target`; return False if there is none of this name."""

    def remove(self, name: str) -> None:
        """Delete a file; one that is not there is gone already."""


class FsspecBucket:
    """A folder or prefix of any store that fsspec speaks.

    Raises
    ------
    ArtefactSettingError
        If the URL holds credentials, or no driver for it is installed.
    """

    def __init__(self, url: str) -> None:
        kind = checked_artefact_url(url).partition("://")[0]
        options: dict[str, Any] = _S3 if kind == "s3" else {}
        try:
            self._store, self._root = import_module("fsspec.core").url_to_fs(
                url, use_listings_cache=False, skip_instance_cache=kind != "memory", **options
            )
        except (ImportError, ValueError) as error:
            raise ArtefactSettingError(why=_NO_DRIVER) from error
        self._kind = kind

    def size_of(self, name: str) -> int | None:
        """Return a file's bytes, or None if there is none of this name."""
        with _coded():
            try:
                return int(self._store.info(self._key(name))["size"])
            except FileNotFoundError:
                return None

    def send(self, source: Path, name: str) -> None:
        """Keep a file under a name; it appears whole or not at all."""
        key = self._key(name)
        with _coded(), self._full_as_error(source):
            if self._kind in _WHOLE_UPLOADS:
                self._store.put_file(str(source), key)
            else:
                self._send_aside(source, key)
        if self.size_of(name) != source.stat().st_size:
            raise ArtefactStoreUnavailableError(condition="incomplete upload")

    def fetch(self, name: str, target: BinaryIO) -> bool:
        """Write a file's content to `target`; return False if there is none of this name."""
        with _coded():
            try:
                with self._store.open(self._key(name), "rb", cache_type="none") as stream:
                    shutil.copyfileobj(stream, target, _PIECE_BYTES)
            except FileNotFoundError:
                return False
        return True

    def remove(self, name: str) -> None:
        """Delete a file; one that is not there is gone already."""
        with _coded(), contextlib.suppress(FileNotFoundError):
            self._store.rm_file(self._key(name))

    def _send_aside(self, source: Path, key: str) -> None:
        """Send under a name of its own, then rename."""
        aside = f"{key}.new-{secrets.token_hex(8)}"
        self._store.makedirs(key.rpartition("/")[0], exist_ok=True)
        try:
            self._store.put_file(str(source), aside)
            self._store.mv(aside, key)
        finally:
            if self._store.exists(aside):
                self._store.rm_file(aside)

    def _full_as_error(self, source: Path) -> AbstractContextManager[None]:
        """Name the disk that is full where the store is a folder; others say it their own way."""
        if self._kind != "file":
            return contextlib.nullcontext()
        return disk_full_as_error(Path(self._root), source.stat().st_size)

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"


@contextlib.contextmanager
def _coded() -> Iterator[None]:
    """Turn what a store raises into coded errors; only the kind's name is kept."""
    try:
        yield
    except FileNotFoundError as error:  # the bucket itself
        raise ArtefactStoreRefusedError(condition="no such bucket") from error
    except PermissionError as error:
        raise ArtefactStoreRefusedError(condition="not allowed") from error
    except _driver_errors() as error:
        if getattr(error, "errno", None) in FULL:  # this machine's disk: the caller names it
            raise
        name = type(error).__name__
        if "Credential" in name or "Profile" in name:
            raise ArtefactStoreRefusedError(condition=name) from error
        raise ArtefactStoreUnavailableError(condition=name) from error


def _driver_errors() -> tuple[type[Exception], ...]:
    """Return what the drivers raise; S3's has errors that are no `OSError`."""
    try:
        of_s3 = import_module("botocore.exceptions")
    except ImportError:
        return (OSError,)
    return (OSError, of_s3.BotoCoreError, of_s3.ClientError)
