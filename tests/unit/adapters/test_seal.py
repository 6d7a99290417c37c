"""The seal: what it closes, what it refuses, and its file."""

from __future__ import annotations

import errno
import os
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zhongkong.adapters.seal import FileSeal, RingSeal
from zhongkong.errors import StoreRefused, WrongSeal

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
KEY = urlsafe_b64encode(OLD) + b"\n"
ON_POSIX = os.name == "posix"


def test_what_is_closed_is_aes_256_gcm_under_a_fresh_nonce() -> None:
    """Twelve bytes of nonce, then ciphertext and tag: so a store can be opened by other means, with its key."""
    seal = RingSeal(NEW)
    first, second = seal.close("秘密", "wx1"), seal.close("秘密", "wx1")
    assert first != second
    assert AESGCM(NEW).decrypt(first[:12], first[12:], b"wx1").decode() == "秘密"
    assert len(first) == 12 + len("秘密".encode()) + 16


def test_what_was_closed_long_ago_is_opened() -> None:
    """The form of what lies in stores does not change: this was closed by the first version."""
    sealed = bytes.fromhex("000102030405060708090a0b336dbd7eabf62a10816239f09b60f88701bf4c460b")
    assert RingSeal(OLD).open(sealed, "wx1") == "token"


def test_the_newest_key_closes_and_both_open() -> None:
    """Replicas that rotated and replicas that did not read each other's values."""
    before, ring = RingSeal(OLD), RingSeal(NEW, OLD)
    assert ring.open(before.close("a", "wx1"), "wx1") == "a"
    assert RingSeal(NEW).open(ring.close("b", "wx1"), "wx1") == "b"
    with pytest.raises(WrongSeal):
        before.open(ring.close("b", "wx1"), "wx1")


@pytest.mark.parametrize("damage", ["another appid", "a flipped bit", "cut", "empty", "another key"])
def test_what_is_not_whole_is_a_wrong_seal(damage: str) -> None:
    """Never an empty text, never a part of one; and the error tells nothing of what it saw."""
    seal = RingSeal(NEW)
    sealed = seal.close("token", "wx1")
    broken, appid = {
        "another appid": (sealed, "wx2"),
        "a flipped bit": (sealed[:-1] + bytes([sealed[-1] ^ 1]), "wx1"),
        "cut": (sealed[:-1], "wx1"),
        "empty": (b"", "wx1"),
        "another key": (RingSeal(OLD).close("token", "wx1"), "wx1"),
    }[damage]
    with pytest.raises(WrongSeal) as caught:
        seal.open(broken, appid)
    assert caught.value.code == "wrong_seal"
    assert caught.value.values == {"appid": appid}


def test_the_check_value_tells_seals_apart_and_nothing_of_them() -> None:
    """Two replicas compare it before they start; it may lie in the store in clear."""
    assert RingSeal(NEW).check == RingSeal(NEW, OLD).check != RingSeal(OLD).check
    assert RingSeal(NEW, OLD).knows(RingSeal(OLD).check)
    assert not RingSeal(NEW).knows(RingSeal(OLD).check)
    assert RingSeal(NEW).check not in NEW.hex()


@pytest.mark.parametrize("keys", [(), (OLD, NEW, OLD), (b"short",)])
def test_a_ring_has_one_or_two_keys_of_32_bytes(keys: tuple[bytes, ...]) -> None:
    """Anything else is a bug of the caller, or a damaged file."""
    with pytest.raises(ValueError, match="32 bytes"):
        RingSeal(*keys)


def test_a_seal_shows_nothing_of_its_keys(tmp_path: Path) -> None:
    """It stands in tracebacks and logs of whoever holds it."""
    seal = FileSeal(tmp_path / "seal")
    key = next(line for line in seal.path.read_text().splitlines() if not line.startswith("#"))
    for shown in (repr(seal), str(seal), repr(RingSeal(NEW)), seal.check):
        assert key not in shown
        assert NEW.hex() not in shown


def test_the_file_is_made_at_first_use_for_its_owner_only(tmp_path: Path) -> None:
    """And whoever made it is told, to say it aloud."""
    path = tmp_path / "seal"
    first, second = FileSeal(path), FileSeal(path)
    assert (first.was_made, second.was_made) == (True, False)
    assert first.check == second.check
    assert [one.name for one in tmp_path.iterdir()] == ["seal"]
    if ON_POSIX:
        assert path.stat().st_mode & 0o777 == 0o600


def test_many_who_make_it_at_once_agree_on_one(tmp_path: Path) -> None:
    """Workers of one hub start together; two seals would be two halves of a store."""
    seals: list[FileSeal] = []
    gate = threading.Barrier(8)

    def make() -> None:
        gate.wait()
        seals.append(FileSeal(tmp_path / "seal"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({seal.check for seal in seals}) == 1
    assert sum(seal.was_made for seal in seals) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["seal"]


def test_where_a_file_system_has_no_links_it_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared folder of a virtual machine, a phone. One that is there is never written over."""

    def refuse(*_paths: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    first, second = FileSeal(tmp_path / "seal"), FileSeal(tmp_path / "seal")
    monkeypatch.delattr(os, "link")
    third, other = FileSeal(tmp_path / "seal"), FileSeal(tmp_path / "other")
    assert [one.was_made for one in (first, second, third, other)] == [True, False, False, True]
    assert first.check == second.check == third.check != other.check
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "seal"]
    if ON_POSIX:
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever reads it reads every secret. Where modes mean nothing they are not judged."""
    path = tmp_path / "seal"
    FileSeal(path)
    path.chmod(mode)
    if ON_POSIX:
        with pytest.raises(StoreRefused) as caught:
            FileSeal(path)
        assert caught.value.code == "seal_exposed"
        assert caught.value.values == {"path": str(path), "mode": f"{mode:04o}"}
    else:
        assert FileSeal(path).check


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"c2hvcnQ=\n", b"\xff\xfe\n", b"no base64!\n", KEY * 3])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """A new key in its place would lose the store."""
    path = tmp_path / "seal"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreRefused) as caught:
        FileSeal(path)
    assert caught.value.code == "seal_damaged"
    assert path.read_bytes() == content
    path.write_bytes(KEY)
    assert FileSeal(path).check == RingSeal(OLD).check


def test_what_cannot_be_read_or_made_is_refused(tmp_path: Path) -> None:
    """The error names the file and the reason, as the machine gives it."""
    (tmp_path / "directory").mkdir(mode=0o700)
    for path, code in ((tmp_path / "directory", "seal_unreadable"), (tmp_path / "absent" / "seal", "seal_unwritable")):
        with pytest.raises(StoreRefused) as caught:
            FileSeal(path)
        assert caught.value.code == code
        assert caught.value.values["path"] == str(path)
        assert caught.value.values["why"]


def test_a_rotation_puts_a_new_key_on_top_and_keeps_one(tmp_path: Path) -> None:
    """A ring of two: what the former closed is opened, what the one before that closed no longer."""
    seal = FileSeal(tmp_path / "seal")
    checks, sealed = [seal.check], [seal.close("a", "wx1")]
    for _ in range(2):
        seal.rotate()
        checks.append(seal.check)
        sealed.append(seal.close("a", "wx1"))
    assert len(set(checks)) == 3
    assert [seal.knows(check) for check in checks] == [False, True, True]
    assert seal.open(sealed[1], "wx1") == seal.open(sealed[2], "wx1") == "a"
    with pytest.raises(WrongSeal):
        seal.open(sealed[0], "wx1")
    if ON_POSIX:
        assert seal.path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["seal"]


def test_others_follow_a_rotation(tmp_path: Path) -> None:
    """A running hub meets what an admin's command closed, or closes something itself: both by the newest key."""
    admin, hub, idle = (FileSeal(tmp_path / "seal") for _ in range(3))
    former = admin.check
    admin.rotate()
    assert hub.open(admin.close("a", "wx1"), "wx1") == "a"
    assert RingSeal(*_keys(tmp_path / "seal")[:1]).open(idle.close("b", "wx1"), "wx1") == "b"
    assert hub.check == idle.check == admin.check != former


def test_a_file_that_goes_away_while_in_use_changes_nothing(tmp_path: Path) -> None:
    """The hub goes on with the keys it has; who starts anew is told."""
    seal = FileSeal(tmp_path / "seal")
    sealed = seal.close("a", "wx1")
    seal.path.write_bytes(b"damaged")
    assert seal.open(sealed, "wx1") == "a"
    assert seal.open(seal.close("b", "wx1"), "wx1") == "b"
    seal.path.unlink()
    assert seal.open(seal.close("c", "wx1"), "wx1") == "c"
    with pytest.raises(WrongSeal):
        seal.open(sealed, "wx2")


def _keys(path: Path) -> list[bytes]:
    return [urlsafe_b64decode(line) for line in path.read_text().splitlines() if not line.startswith("#")]
