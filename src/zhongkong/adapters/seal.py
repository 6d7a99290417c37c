"""The seal: AES-256-GCM over what is stored, with keys from a file that only its owner may read.

The file holds one key or two, the newest first. The newest closes, both open: so a seal is rotated while replicas run,
and each of them reads the file again when it finds that it changed.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zhongkong.errors import StoreRefused, WrongSeal

KEY_BYTES = 32
NONCE_BYTES = 12
RING = 2

_HEADING = """\
# The seal of a zhongkong store. Without it the store cannot be read; with it and the store every secret can.
# Keep a copy of it, apart from the copies of the store. The newest key comes first.
"""


class RingSeal:
    """A `core.ports.Seal` of one or two keys, the newest first: it closes, all of them open."""

    def __init__(self, *keys: bytes) -> None:
        """Take keys of 32 bytes.

        Raises: ValueError: not one or two keys of that length.
        """
        if not 1 <= len(keys) <= RING or any(len(key) != KEY_BYTES for key in keys):
            message = f"a seal has one or two keys of {KEY_BYTES} bytes"
            raise ValueError(message)
        self._checks = tuple(_check_of(key) for key in keys)
        self._ciphers = tuple(AESGCM(key) for key in keys)

    @property
    def check(self) -> str:
        """A value that tells the closing key from others, and nothing about it."""
        return self._checks[0]

    def knows(self, check: str) -> bool:
        """Say whether one of the keys has this check value."""
        return check in self._checks

    def close(self, text: str, bound_to: str) -> bytes:
        """Return a random nonce and the text sealed; `bound_to` is authenticated, not hidden."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, text.encode(), bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Return the text.

        Raises: WrongSeal: none of the keys closed it for `bound_to`, or it is damaged.
        """
        for cipher in self._ciphers:
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode()).decode()
        raise WrongSeal("wrong_seal", appid=bound_to)


class FileSeal:
    """A `core.ports.Seal` whose keys are in a file; it follows the file when that is rotated."""

    def __init__(self, path: Path) -> None:
        """Read the file, or make it with mode 0600 at first use; then `was_made` is true: say so aloud.

        Raises: StoreRefused: others may read the file, or it cannot be read or made, or holds something else.
        """
        self.path = path
        self.was_made = _make(path)
        self._stamp, self._ring = _load(path)

    @property
    def check(self) -> str:
        """A value that tells the closing key from others, and nothing about it."""
        return self._ring.check

    def knows(self, check: str) -> bool:
        """Say whether one of the keys has this check value."""
        self._follow()
        return self._ring.knows(check)

    def close(self, text: str, bound_to: str) -> bytes:
        """Return the text sealed by the newest key in the file."""
        self._follow()
        return self._ring.close(text, bound_to)

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Return the text.

        Raises: WrongSeal: none of the keys in the file closed it, or it is damaged.
        """
        try:
            return self._ring.open(sealed, bound_to)
        except WrongSeal:
            if not self._follow():
                raise
            return self._ring.open(sealed, bound_to)

    def rotate(self) -> None:
        """Put a new key on top and keep the one that was there; an older one is forgotten.

        Whatever the forgotten one closed is lost: first `SqlStore.reseal` what the last rotation left.
        """
        _replace(self.path, os.urandom(KEY_BYTES), _parse(self.path)[0])
        self._follow()

    def _follow(self) -> bool:
        """Read the file again if it is another one; an unreadable one changes nothing. Say whether the keys changed."""
        with suppress(OSError, StoreRefused):
            if _stamp_of(self.path) != self._stamp:
                self._stamp, self._ring = _load(self.path)
                return True
        return False


class _Stamp(NamedTuple):
    """By what a file is told from the one that was there before."""

    inode: int
    written_ns: int


def _stamp_of(path: Path) -> _Stamp:
    status = path.stat()
    return _Stamp(status.st_ino, status.st_mtime_ns)


def _load(path: Path) -> tuple[_Stamp, RingSeal]:
    """Read the keys; the stamp is taken first, so that a file replaced meanwhile is read once more, not missed."""
    try:
        stamp = _stamp_of(path)
        _judge_mode(path)
        return stamp, RingSeal(*_parse(path))
    except OSError as error:
        raise _refused("seal_unreadable", path, error) from error


def _check_of(key: bytes) -> str:
    return sha256(b"zhongkong seal check\0" + key).hexdigest()[:16]


def _make(path: Path) -> bool:
    """Make the file with a new key unless there is one; two processes that begin at once agree on one."""
    if os.path.lexists(path):
        return False
    draft = _draft(path, os.urandom(KEY_BYTES))
    try:
        os.link(draft, path)  # unlike a rename it never replaces the key that another process made meanwhile
    except FileExistsError:
        return False
    except (AttributeError, OSError):
        return _write_here(path, draft.read_bytes())
    else:
        _persist(path.parent)
        return True
    finally:
        draft.unlink()


def _write_here(path: Path, content: bytes) -> bool:
    """Write a new file where there are no links (a shared folder, a phone). Who reads it too soon reads it again."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError as error:
        raise _refused("seal_unwritable", path, error) from error
    return True


def _replace(path: Path, *keys: bytes) -> None:
    draft = _draft(path, *keys)
    try:
        draft.replace(path)
    except OSError as error:
        draft.unlink()
        raise _refused("seal_unwritable", path, error) from error
    _persist(path.parent)


def _draft(path: Path, *keys: bytes) -> Path:
    """Write the keys to a new file beside `path`, durably: a lost seal is a lost store."""
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    lines = _HEADING + "".join(urlsafe_b64encode(key).decode() + "\n" for key in keys)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise _refused("seal_unwritable", path, error) from error
    return draft


def _persist(directory: Path) -> None:
    """Make the file's name durable too, where a directory can be synced."""
    with suppress(OSError):
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _parse(path: Path) -> list[bytes]:
    try:
        lines = path.read_text("ascii").splitlines()
        keys = [urlsafe_b64decode(line) for line in lines if line and not line.startswith("#")]
    except (UnicodeDecodeError, NotBase64) as error:
        raise StoreRefused("seal_damaged", path=str(path)) from error
    if not 1 <= len(keys) <= RING or any(len(key) != KEY_BYTES for key in keys):
        raise StoreRefused("seal_damaged", path=str(path))
    return keys


def _judge_mode(path: Path) -> None:
    """Refuse a key that others may read. Elsewhere than on POSIX the mode says nothing."""
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        raise StoreRefused("seal_exposed", path=str(path), mode=f"{mode:04o}")


def _refused(code: str, path: Path, error: OSError) -> StoreRefused:
    return StoreRefused(code, path=str(path), why=error.strerror or type(error).__name__)
