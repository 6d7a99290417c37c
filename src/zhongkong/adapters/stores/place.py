"""Where a store's file may lie, and what is wrong with the place where it cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from typing import TypeAlias

from zhongkong.errors import StoreRefused

FileSystemOf: TypeAlias = Callable[[Path], str]

NETWORK_FILE_SYSTEMS = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.cephfs", "fuse.davfs", "fuse.glusterfs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gfs2", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb2",
    "smb3", "smbfs",
})  # fmt: skip
"""Where a lock of one machine is not seen on the others, or the memory that SQLite's readers share is not shared."""

ROOM = 65_536
"""Bytes. With less, an I/O error is taken for a full disk."""

_OCTAL = re.compile(r"\\([0-7]{3})")
"""How the list of mounts writes a space in a name."""


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds `path`, as Linux names it; empty where that is not known."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    return find_mount(path.resolve(), mounts)


def find_mount(path: Path, mounts: list[str]) -> str:
    """Return the type of the mount that `path` is under; the last one of the longest mount points covers the others."""
    found, length = "", -1
    for mount in mounts:
        _, point, kind, *_ = mount.split(" ")
        where = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), point))
        if len(where.parts) >= length and path.is_relative_to(where):
            found, length = kind, len(where.parts)
    return found


def judge_place(path: Path, file_system_of: FileSystemOf) -> None:
    """Return if a store can be kept in the file `path`, which need not be there yet.

    Raises: StoreRefused: it cannot; the error names the file or directory, whose it is, and what to do.
    """
    directory = path.parent
    for above in (*reversed(directory.parents), directory):
        if above.is_dir() and not os.access(above, os.X_OK):
            raise _refuse_directory(path, above)
    if not directory.is_dir():
        raise StoreRefused("store_directory_missing", path=str(path), directory=str(directory))
    if path.exists() and not path.is_file():
        raise StoreRefused("store_not_a_file", path=str(path))
    kind = file_system_of(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreRefused("store_on_network", path=str(path), owner=_owner_there(path), file_system=kind)
    judge_rights(path)


def judge_rights(path: Path) -> None:
    """Return if this process may write the file and, for the files that SQLite puts beside it, its directory.

    Raises: StoreRefused: it may not.
    """
    directory = path.parent
    if _is_mounted_read_only(directory):
        raise StoreRefused("store_mounted_read_only", path=str(path), owner=_owner_there(path))
    if os.access(path, os.F_OK) and not os.access(path, os.R_OK | os.W_OK):
        owner, user = owner_of(path), user_here()
        raise StoreRefused("store_read_only" if owner != user else "store_shut", path=str(path), owner=owner, user=user)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise _refuse_directory(path, directory)


def _refuse_directory(path: Path, directory: Path) -> StoreRefused:
    owner, user = owner_of(directory), user_here()
    code = "store_directory_read_only" if owner != user else "store_directory_shut"
    return StoreRefused(code, path=str(path), directory=str(directory), owner=owner, user=user)


def owner_of(path: Path) -> str:
    """Return the name of who owns `path`, his number if he has no name, `?` where that is not known."""
    try:
        return _name_of(path.stat().st_uid)
    except OSError:
        return "?"


def _owner_there(path: Path) -> str:
    """Return who owns the file, or the directory as long as there is none."""
    return owner_of(path if path.exists() else path.parent)


def has_room(path: Path) -> bool:
    """Say whether the disk that holds `path` has room for a page; true where that is not known."""
    try:
        free = os.statvfs(path.parent)
    except (AttributeError, OSError):
        return True
    return free.f_bavail * free.f_frsize >= ROOM


def _is_mounted_read_only(directory: Path) -> bool:
    try:
        return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except (AttributeError, OSError):
        return False


def user_here() -> str:
    """Return the name of who runs this program, his number if he has no name."""
    return _name_of(os.geteuid()) if hasattr(os, "geteuid") else getuser()


def _name_of(uid: int) -> str:
    try:
        from pwd import getpwuid  # noqa: PLC0415 (Windows has none)

        return getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)
