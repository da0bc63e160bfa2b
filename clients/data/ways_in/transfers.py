"""Remember what was already fetched or picked up, without knowing what it is.

`data/transfers.db` holds keyed digests only: of series and instances of each
archive, and of files of watched folders. Whoever steals it learns no UID and no
path. A row is written after the object lies in the inbox, so a fetch that is
killed asks again for at most one object, which the inbox and the intake know.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Self

from clients.data.layout import KEY_FILE
from clients.data.people.pseudonyms import Pseudonyms

DATABASE = "transfers.db"
_TABLES = """
CREATE TABLE IF NOT EXISTS instances (instance TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    series TEXT PRIMARY KEY,
    instances INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (file TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (version INTEGER NOT NULL) STRICT;
"""
_NAMED = (("instances", "instance"), ("series", "series"), ("files", "file"))


class Transfers:
    """An open memory of transfers; use it as a context manager. Safe between threads.

    Raises
    ------
    PseudonymKeyError
        If the key of the pseudonyms cannot be used.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._names = Pseudonyms.open_or_create(data / KEY_FILE)
        self._lock = threading.Lock()
        path = data / DATABASE
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def has_instance(self, source: str, uid: str) -> bool:
        """Say whether an instance of an archive was received before."""
        return self._found("instances", "instance", self._digest("instance", source, uid))

    def add_instance(self, source: str, uid: str) -> None:
        """Remember an instance that lies in the inbox."""
        self._write(
            "INSERT OR IGNORE INTO instances VALUES (?)", self._digest("instance", source, uid)
        )

    def series_size(self, source: str, uid: str) -> int | None:
        """Return of how many instances a series was received whole, None when it never was."""
        with self._lock:
            row = self._db.execute(
                "SELECT instances FROM series WHERE series = ?",
                (self._digest("series", source, uid),),
            ).fetchone()
        return None if row is None else int(row[0])

    def finish_series(self, source: str, uid: str, *, instances: int) -> None:
        """Remember that a series of so many instances was received whole."""
        digest = self._digest("series", source, uid)
        self._write("INSERT OR REPLACE INTO series VALUES (?, ?)", digest, instances)

    def has_file(self, path: Path, *, size_bytes: int, changed_ns: int) -> bool:
        """Say whether a file was picked up as it stands now."""
        return self._found("files", "file", self._file(path, size_bytes, changed_ns))

    def add_file(self, path: Path, *, size_bytes: int, changed_ns: int) -> None:
        """Remember a file that lies in the inbox."""
        self._write(
            "INSERT OR IGNORE INTO files VALUES (?)", self._file(path, size_bytes, changed_ns)
        )

    def _file(self, path: Path, size_bytes: int, changed_ns: int) -> str:
        return self._digest("file", os.fspath(path), str(size_bytes), str(changed_ns))

    def _digest(self, *parts: str) -> str:
        packed = "\0".join(("transfers", *parts)).encode("utf-8", "surrogateescape")
        return self._names.content(hashlib.sha256(packed).digest())

    def _found(self, table: str, column: str, digest: str) -> bool:
        query = f"SELECT 1 FROM {table} WHERE {column} = ?"  # noqa: S608  # constants above
        with self._lock:
            return self._db.execute(query, (digest,)).fetchone() is not None

    def _write(self, statement: str, *values: object) -> None:
        with self._lock:
            self._db.execute(statement, values)


def rename_transfers(data: Path, step: Callable[[str], str], *, keys: int) -> None:
    """Rename everything remembered under a new key, once for each number of keys."""
    path = data / DATABASE
    if not path.exists():
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as db:
        db.executescript(_TABLES)
        db.create_function("renamed", 1, step, deterministic=True)
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT version FROM keys").fetchone() != (keys,):
            for table, column in _NAMED:
                db.execute(f"UPDATE {table} SET {column} = renamed({column})")  # noqa: S608
            db.execute("DELETE FROM keys")
            db.execute("INSERT INTO keys VALUES (?)", (keys,))
        db.execute("COMMIT")
