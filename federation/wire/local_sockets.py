"""Name Unix sockets so that they stay short, private and easy to pass around.

Flower's open Control and Runtime APIs know no user, so what serves them here
listens on a Unix socket in a folder of mode 0700 instead of a loopback port:
other users of the machine cannot even connect. An address is written
`unix:/path/to/socket`.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from federation.errors.core import InvalidValueError

_SCHEME = "unix:"
_LONGEST_PATH = 100  # sun_path holds 108 bytes on Linux, 104 on macOS


def socket_path(folder: Path, name: str) -> Path:
    """Return where socket `name` of `folder` lives; makes its folder, mode 0700.

    A path too long for the kernel gets a private folder under the temporary
    directory, named after `folder`, so that every process finds the same one.

    Raises
    ------
    InvalidValueError
        If that private folder exists and is not this user's alone.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]
    short = Path(tempfile.gettempdir()) / f"trifed-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    _check_private(short)
    return short / name


def address_of(path: Path) -> str:
    """Return the address of a socket: `unix:` and its path."""
    return f"{_SCHEME}{path}"


def path_of(address: str) -> Path:
    """Return the socket's path of an address.

    Raises
    ------
    InvalidValueError
        If it does not start with `unix:/`.
    """
    if not address.startswith(f"{_SCHEME}/"):
        raise InvalidValueError(field="address", actual=address, expected="unix:/path")
    return Path(address.removeprefix(_SCHEME))


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not is_ours or status.st_mode & 0o077:
        raise InvalidValueError(
            field="socket folder", actual=str(folder), expected="a folder of yours, mode 0700"
        )
