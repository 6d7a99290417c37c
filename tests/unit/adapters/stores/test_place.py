"""Where a file lies, as the list of mounts tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zhongkong.adapters.stores.place import (
    NETWORK_FILE_SYSTEMS,
    file_system_of,
    find_mount,
    has_room,
    judge_rights,
    owner_of,
)
from zhongkong.errors import StoreRefused

MOUNTS = [
    "/dev/vda / ext4 rw,relatime 0 0",
    "proc /proc proc rw 0 0",
    "nas:/export /srv nfs4 rw,vers=4.2 0 0",
    "/dev/vdb /srv/local xfs rw 0 0",
    "//nas/share /mnt/my\\040data cifs rw 0 0",
    "nas:/数据 /mnt/数据 nfs rw 0 0",
    "tmpfs /covered tmpfs rw 0 0",
    "host:/ /covered fuse.sshfs rw 0 0",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/zhongkong", "ext4"),
        ("/", "ext4"),
        ("/srv/hub", "nfs4"),
        ("/srv", "nfs4"),
        ("/srv/local/hub", "xfs"),
        ("/srvother", "ext4"),
        ("/mnt/my data/hub", "cifs"),
        ("/mnt/数据/hub", "nfs"),
        ("/covered/hub", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_latest_mount_holds_the_path(path: str, kind: str) -> None:
    """A name may begin like another, have a space in it, or be covered by a later mount."""
    assert find_mount(Path(path), MOUNTS) == kind


def test_this_machine_tells_its_own(tmp_path: Path) -> None:
    """On Linux there is always one; a test's directory is on no network."""
    kind = file_system_of(tmp_path)
    assert kind not in NETWORK_FILE_SYSTEMS
    if Path("/proc/self/mounts").exists():
        assert kind
        assert file_system_of(Path("/proc/self")) == "proc"


def test_a_link_is_followed(tmp_path: Path) -> None:
    """What counts is where the file lies, not where its name stands."""
    if Path("/proc/self/mounts").exists():
        (tmp_path / "link").symlink_to("/proc/self")
        assert file_system_of(tmp_path / "link") == "proc"


def test_what_is_not_there_belongs_to_nobody_known(tmp_path: Path) -> None:
    """An error message is made of it: it must not fail itself."""
    assert owner_of(tmp_path / "absent") == "?"
    assert owner_of(tmp_path) == tmp_path.owner()
    assert has_room(tmp_path / "absent" / "hub.db")


@pytest.mark.parametrize(("shut", "code"), [("hub.db", "store_shut"), ("", "store_directory_shut")])
def test_where_the_owner_himself_may_not_write_the_mode_is_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shut: str, code: str
) -> None:
    """To change the owner, or to run as him, would be no advice: he is who runs this."""
    path = tmp_path / "hub.db"
    path.touch()
    monkeypatch.setattr("os.access", lambda one, mode: one != tmp_path / shut or mode == os.F_OK)  # root may do all
    with pytest.raises(StoreRefused) as refused:
        judge_rights(path)
    assert refused.value.code == code
