"""What lies on this machine: settings, seal, store, and who may read them."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from zhongkong.adapters.certificates import CA_KEY_FILE, TLS_FILE
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.addresses import Address, FileAddress, parse_address
from zhongkong.adapters.stores.examining import StoreFacts, examine, is_there
from zhongkong.adapters.stores.place import owner_of, user_here
from zhongkong.cli.doctor.database import judge_server
from zhongkong.cli.doctor.findings import Area, Findings
from zhongkong.cli.session import Session
from zhongkong.errors import SettingInvalid, StoreError
from zhongkong.serving import seat_bell
from zhongkong.settings import Settings, read_accounts

ROOM = 100 * 1024 * 1024
"""Bytes that should be free: a store grows by its events, and its log is written beside it."""


class Looked(NamedTuple):
    """What the rest of the looking needs to know of the store."""

    opens: bool
    """It can be opened as it is."""
    place: str = ""
    incarnation: str | None = None
    """Which store it is: empty where there is none, None where that cannot be known."""


def look_at_settings(session: Session, findings: Findings) -> Settings | None:
    """Return the settings, None if they cannot be used."""
    try:
        settings = session.settings()
        read_accounts(settings.declarations, os.environ)
    except SettingInvalid as error:
        findings.error(Area.SETTINGS, error)
        return None
    if settings.file is None:
        findings.good(Area.SETTINGS, "doctor_settings_default", data_dir=settings.data_dir)
    else:
        findings.good(Area.SETTINGS, "doctor_settings", file=settings.file, data_dir=settings.data_dir)
        if _holds_password(tomllib.loads(settings.file.read_text(encoding="utf-8"))):
            _look_at_mode(settings.file, findings)
    return settings


def look_at_storage(settings: Settings, findings: Findings) -> Looked:
    """Look at seal, store, permissions and room."""
    try:
        address = parse_address(settings.store_url)
    except SettingInvalid as error:
        findings.error(Area.STORE, error)
        return Looked(opens=False)
    file = address.path if isinstance(address, FileAddress) else None
    seal = _look_at_seal(settings.seal_file, findings, store_is_there=file is not None and is_there(file))
    looked = _look_at_store(address, settings, seal, findings)
    files = (settings.seal_file, file, *(settings.data_dir / name for name in (CA_KEY_FILE, TLS_FILE)))
    _look_at_directories([one for one in (settings.seal_file, file) if one is not None], findings)
    _look_at_modes(settings.data_dir, [one for one in files if one is not None], findings)
    if file is not None:
        _look_at_room(file, findings)
    return looked


async def look_at_bell(settings: Settings, findings: Findings) -> None:
    """Say whether the bell rings, where one is set."""
    try:
        bell = seat_bell(settings, MachineClock())
        if bell is not None:
            took = await bell.prove()
            findings.good(Area.STORE, "doctor_bell_rings", place=bell.place, milliseconds=round(took * 1000, 1))
    except (SettingInvalid, StoreError) as error:
        findings.error(Area.STORE, error)


def _holds_password(written: object) -> bool:
    """Say whether a URL with a password is among the values of a settings file; AppSecrets may not be there at all."""
    if isinstance(written, dict | list):
        return any(_holds_password(one) for one in (written.values() if isinstance(written, dict) else written))
    try:
        return isinstance(written, str) and bool(urlsplit(written).password)
    except ValueError:
        return False


def _look_at_seal(path: Path, findings: Findings, *, store_is_there: bool) -> FileSeal | None:
    if not is_there(path):
        if store_is_there:
            findings.todo(Area.SEAL, "doctor_seal_lost", path=path)
        else:
            findings.note(Area.SEAL, "doctor_seal_none", path=path)
        return None
    try:
        seal = FileSeal(path)
    except StoreError as error:
        findings.error(Area.SEAL, error)
        return None
    findings.good(Area.SEAL, "doctor_seal", path=path)
    return seal


def _look_at_store(address: Address, settings: Settings, seal: FileSeal | None, findings: Findings) -> Looked:
    if isinstance(address, FileAddress) and _is_absent(address.path):
        findings.note(Area.STORE, "doctor_store_none", path=address)
        return Looked(opens=False, place=str(address), incarnation="")
    try:
        facts = examine(address, settings.store_prefix)
    except (SettingInvalid, StoreError) as error:
        findings.error(Area.STORE, error)
        return Looked(opens=False)
    return Looked(_judge_facts(facts, address, settings, seal, findings), str(address), facts.incarnation)


def _judge_facts(
    facts: StoreFacts, address: Address, settings: Settings, seal: FileSeal | None, findings: Findings
) -> bool:
    if facts.server is not None:
        judge_server(facts.server, address, findings)
        if not facts.schema:
            findings.note(Area.STORE, "doctor_store_none", path=address)
            return False
    if facts.faults:
        findings.todo(Area.STORE, "store_not_whole", path=address, faults="; ".join(facts.faults))
        return False
    if facts.server is not None and facts.seal_check and not is_there(settings.seal_file):
        findings.todo(Area.SEAL, "seal_not_here", path=settings.seal_file, store=address)
        return False
    return (
        _judge_schema(facts, address, findings)
        and _judge_standing(facts, findings)
        and _judge_check(facts, address, seal, findings)
    )


def _judge_standing(facts: StoreFacts, findings: Findings) -> bool:
    if facts.moved_to:
        findings.todo(Area.STORE, "store_moved", place=facts.moved_to)
    elif facts.is_unfinished:
        findings.todo(Area.STORE, "store_unfinished")
    return not facts.moved_to and not facts.is_unfinished


def _judge_schema(facts: StoreFacts, address: Address, findings: Findings) -> bool:
    if facts.schema == facts.known:
        findings.good(Area.STORE, "doctor_store", path=address, schema=facts.schema)
        return True
    code = "store_older" if facts.schema < facts.known else "store_newer"
    findings.todo(Area.STORE, code, found=facts.schema or "–", known=facts.known, version=facts.program or "?")
    return False


def _judge_check(facts: StoreFacts, address: Address, seal: FileSeal | None, findings: Findings) -> bool:
    if seal is None:
        return False
    if not seal.knows(facts.seal_check):
        findings.todo(Area.SEAL, "seal_does_not_fit", path=seal.path, store=address)
        return False
    if seal.check != facts.seal_check:
        findings.todo(Area.SEAL, "doctor_seal_half_rotated")
    else:
        findings.good(Area.SEAL, "doctor_seal_fits")
    return True


def _is_absent(path: Path) -> bool:
    """Say whether the file is not there; one that cannot be looked for because of a directory's owner may be."""
    return not is_there(path) and os.access(_nearest(path), os.X_OK)


def _nearest(path: Path) -> Path:
    """Return the directory that is to hold the file; if it is not there yet, the one in which it will be made."""
    return next((one for one in path.absolute().parents if is_there(one)), Path())


def _look_at_directories(paths: Iterable[Path], findings: Findings) -> None:
    """Tell if a file that is not there yet cannot be made; what keeps one that is there from use is told before."""
    for directory, path in {_nearest(one): one for one in paths if not is_there(one)}.items():
        if not os.access(directory, os.W_OK | os.X_OK):
            owner, user = owner_of(directory), user_here()
            code = "doctor_directory_of_another" if owner != user else "doctor_directory_shut"
            findings.todo(Area.FILES, code, path=path, directory=directory, owner=owner, user=user)


def _look_at_modes(directory: Path, files: Iterable[Path], findings: Findings) -> None:
    """Say who besides the owner may read the files or replace them; elsewhere than on POSIX modes say nothing."""
    if os.name != "posix":
        return
    looked = [_look_at_mode(one, findings) for one in files]
    if _look_at_mode(directory, findings, shut=0o022, code="doctor_open") and all(looked):
        findings.good(Area.FILES, "doctor_files_private")


def _look_at_mode(path: Path, findings: Findings, *, shut: int = 0o077, code: str = "doctor_exposed") -> bool:
    """Tell if somebody besides the owner may do what `shut` is against; return whether nobody may."""
    if os.name == "posix" and is_there(path) and (mode := path.stat().st_mode & 0o777) & shut:
        findings.todo(Area.FILES, code, path=path, mode=f"{mode:03o}")
        return False
    return True


def _look_at_room(path: Path, findings: Findings) -> None:
    directory = _nearest(path)
    free = shutil.disk_usage(directory).free
    told = {"directory": directory, "megabytes": free // 2**20}
    if free < ROOM:
        findings.todo(Area.FILES, "doctor_little_room", **told)
    else:
        findings.good(Area.FILES, "doctor_room", **told)
