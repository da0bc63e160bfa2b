"""The persons who may sign at a hospital: a name, a public key, and the officer's word for both.

`people/NAME.pub` is a person's key; `people/NAME.seal` is the data officer's signature
over it, without which the key counts for nothing. `people/NAME.key` (0600) is there when the
key was made on this machine; better, a person keeps it elsewhere and gives only the public half.
The data officer is the first person, called `officer`. Used by the two-person rule of
approvals and by whatever else wants two different people.

    people = People.of(home)
    people.add("wang", now=now)                  # the officer signs
    people.signer("wang").sign(message)
    people.person("wang").key.verify(signature, message)
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from clients.home import NodeHome
from clients.seals import Matter, open_seal, read_limited, seal
from federation.domain.ids import Sha256, SiteId
from federation.errors import PlatformError
from federation.errors.approval import PersonRefusedError
from federation.evidence.signing import Signer, new_key
from federation.evidence.verification import PublicKey, trusted_keys
from federation.storage import write_atomic
from federation.wording import Text

OFFICER = "officer"
FOLDER = "people"
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")

BAD_NAME = Text(
    en="a name is 1 to 32 lower-case letters, digits and hyphens, a letter first",
    zh="名稱須為 1 至 32 個小寫字母、數字或連字號,且以字母開頭",
)
UNKNOWN = Text(en="nobody of that name was added", zh="名單上沒有此人")
TAKEN = Text(en="that name or key is taken", zh="該名稱或金鑰已被使用")
UNSEALED = Text(
    en="the data officer's signature over the key is missing or does not hold",
    zh="缺少資料官對其金鑰的簽章,或簽章無效",
)
REMOVED = Text(en="the data officer removed them", zh="資料官已將其移除")
NO_KEY = Text(
    en="their private key is not here; give it with --key", zh="其私鑰不在此處;請以 --key 指定"
)
KEY_OF_ANOTHER = Text(en="the private key given is not theirs", zh="所給私鑰並非其本人")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign, and their public key."""

    name: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class People:
    """The persons of one hospital, as files of its home."""

    folder: Path
    site: SiteId
    officer_key: Path
    officer: PublicKey

    @classmethod
    def of(cls, home: NodeHome) -> Self:
        """Return the persons of a node; raises `KeyFileError`."""
        officer = PublicKey.load(home.officer_public_key)
        return cls(home.folder / FOLDER, home.settings().site, home.officer_key, officer)

    def names(self) -> list[str]:
        """Return every name that was ever added and not removed, the officer first."""
        added = sorted(path.stem for path in self.folder.glob("*.pub"))
        return [OFFICER, *(name for name in added if NAME.fullmatch(name))]

    def person(self, name: str) -> Person:
        """Return a person whose key the data officer signed.

        Raises
        ------
        PersonRefusedError
            If there is none, or the signature does not hold.
        """
        if name == OFFICER:
            return Person(OFFICER, self.officer)
        _require(NAME.fullmatch(name) is not None, name, BAD_NAME)
        _require(self._file(name, "pub").is_file(), name, UNKNOWN)
        try:
            key = PublicKey.load(self._file(name, "pub"))
            found = open_seal(
                read_limited(self._file(name, "seal")),
                *(Matter.PERSON, name),
                site=self.site,
                trusted=trusted_keys([self.officer]),
            )
        except (PlatformError, OSError) as error:
            raise PersonRefusedError(name=name, why=UNSEALED) from error
        _require(found.said.get("removed") is not True, name, REMOVED)
        _require(found.digest == key.keyid, name, UNSEALED)
        return Person(name, key)

    def all(self) -> list[Person]:
        """Return everybody who may sign now, the officer first."""
        found = []
        for name in self.names():
            with suppress(PersonRefusedError):
                found.append(self.person(name))
        return found

    def owner_of(self, keyid: Sha256) -> Person:
        """Return whose key this is.

        Raises
        ------
        PersonRefusedError
            If it is of nobody who may sign.
        """
        for found in self.all():
            if found.key.keyid == keyid:
                return found
        raise PersonRefusedError(name=keyid, why=UNKNOWN)

    def add(self, name: str, *, now: datetime, key: PublicKey | None = None) -> Person:
        """Take a person in, signed by the data officer; make their key when none is given.

        Raises
        ------
        PersonRefusedError
            If the name is not one, or name or key are taken.
        KeyFileError
            If the officer's key is not here.
        """
        officer = Signer.load(self.officer_key)
        _require(NAME.fullmatch(name) is not None, name, BAD_NAME)
        _require(name not in self.names() and not self._file(name, "seal").exists(), name, TAKEN)
        _require(key is None or not self._is_known(key.keyid), name, TAKEN)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if key is None:
            key = new_key(self._file(name, "key")).public_key
        else:
            write_atomic(self._file(name, "pub"), key.pem, mode=0o644)
        self._seal(name, key.keyid, officer, now, removed=False)
        return self.person(name)

    def remove(self, name: str, *, now: datetime) -> None:
        """Let a person sign no more; the name and its removal stay, signed.

        Raises
        ------
        PersonRefusedError
            If there is no such person, or it is the data officer.
        """
        _require(name != OFFICER, name, TAKEN)
        found = self.person(name)
        self._seal(name, found.key.keyid, Signer.load(self.officer_key), now, removed=True)
        self._file(name, "pub").unlink()

    def signer(self, name: str, *, key: Path | None = None) -> Signer:
        """Return the private key of a person, of `key` or of this home.

        Raises
        ------
        PersonRefusedError
            If nobody of that name may sign, or the key is not theirs or not here.
        KeyFileError
            If the key file is open to others or not a key.
        """
        found = self.person(name)
        path = key or (self.officer_key if name == OFFICER else self._file(name, "key"))
        _require(path.is_file(), name, NO_KEY)
        signer = Signer.load(path)
        _require(signer.keyid == found.key.keyid, name, KEY_OF_ANOTHER)
        return signer

    def _is_known(self, keyid: Sha256) -> bool:
        return any(person.key.keyid == keyid for person in self.all())

    def _seal(
        self, name: str, keyid: Sha256, officer: Signer, now: datetime, *, removed: bool
    ) -> None:
        content = seal(
            Matter.PERSON,
            name,
            keyid,
            site=self.site,
            signer=officer,
            now=now,
            said={"removed": removed},
        )
        write_atomic(self._file(name, "seal"), content)

    def _file(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"


def _require(holds: bool, name: str, why: Text) -> None:
    if not holds:
        raise PersonRefusedError(name=name, why=why)
