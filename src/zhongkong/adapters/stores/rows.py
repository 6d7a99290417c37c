"""Rows as values and back. Secrets and credentials' values pass the seal here, and only here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import Row

from zhongkong.adapters.stores.documents import from_document, to_document
from zhongkong.core.callbacks import Callback
from zhongkong.core.grants import Key
from zhongkong.core.model import Account, Event, Instant, Kind, Record, Secret, Slot
from zhongkong.core.ports import KeptEvent, Seal
from zhongkong.errors import WrongSeal

Columns: TypeAlias = dict[str, Any]

SIGNING_KEY = "virtual tokens"
"""What the key that they are signed with is bound to under the seal, in an appid's place."""

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class RowUnreadable(Exception):
    """A row does not hold what was once written to it."""


class Rows:
    """Reads and writes rows under a seal.

    It remembers what it unsealed: a poll reads the same rows again and again. A row is the same if its version and the
    time of its change are.
    """

    def __init__(self, seal: Seal) -> None:
        """Take the seal."""
        self._seal = seal
        self._records: dict[Slot, Record] = {}
        self._accounts: dict[str, tuple[bytes, Account]] = {}

    def remember(self, record: Record) -> None:
        """Note a record that is committed."""
        self._records[record.slot] = record

    def read_record(self, row: Row[Any]) -> Record:
        """Return the record in `row`.

        Raises: WrongSeal: its value cannot be unsealed, or it is damaged.
        """
        slot = Slot(row.appid, Kind(row.kind))
        known = self._records.get(slot)
        if known is not None and known.version == row.version and known.changed_at == row.changed_at:
            return known
        record = _parse_record(row, None if row.value is None else self._seal.open(row.value, slot.appid))
        self._records[slot] = record
        return record

    @staticmethod
    def read_sealed_record(row: Row[Any]) -> Record:
        """Return the record in `row` with a credential that has no value: for who does not need it any more.

        Raises: WrongSeal: it is damaged.
        """
        return _parse_record(row, None if row.value is None else "")

    @staticmethod
    def write_sealed_record(record: Record) -> Columns:
        """Return the columns of a record whose value stays as it lies there."""
        return {
            "version": record.version,
            "changed_at": record.changed_at,
            "document": _to_json(to_document(record)),
        }

    def write_record(self, record: Record, before: Record, sealed: bytes | None) -> Columns:
        """Return the columns of `record`; `sealed` is the value of `before` as it lies there, and kept if it stayed."""
        credential = record.credential
        if credential is None:
            sealed = None
        elif sealed is None or before.credential is None or before.credential.value != credential.value:
            sealed = self._seal.close(credential.value, record.slot.appid)
        return {
            "appid": record.slot.appid,
            "kind": record.slot.kind.value,
            **self.write_sealed_record(record),
            "value": sealed,
        }

    def read_account(self, row: Row[Any]) -> Account:
        """Return the account in `row`; a secret sealed anew is another row, because of its nonce.

        Raises: WrongSeal: its secret cannot be unsealed, or it is damaged.
        """
        sealed, known = self._accounts.get(row.appid, (b"", None))
        if known is not None and sealed == row.secret:
            return known
        secret = Secret(self._seal.open(row.secret, row.appid))
        with _belonging_to(row.appid):
            account = from_document(Account, json.loads(row.document), appid=row.appid, secret=secret)
        self._accounts[row.appid] = (row.secret, account)
        return account

    def write_account(self, account: Account, now: Instant) -> Columns:
        """Return the columns of `account`, changed at `now`."""
        return {
            "appid": account.appid,
            "changed_at": now,
            "document": _to_json(to_document(account)),
            "secret": self._seal.close(account.secret.reveal(), account.appid),
        }

    def read_callback(self, row: Row[Any]) -> Callback:
        """Return the callback in `row`.

        Raises: WrongSeal: it cannot be unsealed, or it is damaged.
        """
        with _belonging_to(row.appid):
            held = json.loads(self._seal.open(row.sealed, row.appid))
            listeners = tuple(Secret(url) for url in held["listeners"])
            token, key, handler = (Secret(held[name]) for name in ("token", "encoding_aes_key", "handler"))
            return Callback(row.appid, token, key, handler, listeners)

    def write_callback(self, callback: Callback) -> Columns:
        """Return the columns of `callback`; all of it is sealed."""
        held = {
            "token": callback.token.reveal(),
            "encoding_aes_key": callback.encoding_aes_key.reveal(),
            "handler": callback.handler.reveal(),
            "listeners": [url.reveal() for url in callback.listeners],
        }
        return {"appid": callback.appid, "sealed": self._seal.close(_to_json(held), callback.appid)}

    def read_answer(self, sealed: bytes, appid: str) -> str:
        """Return what was answered to a push. Raises: WrongSeal."""
        return self._seal.open(sealed, appid)

    def seal_answer(self, answer: str, appid: str) -> bytes:
        """Return what was answered to a push, sealed: it is a letter to a person."""
        return self._seal.close(answer, appid)

    def read_signing_key(self, sealed: bytes) -> bytes:
        """Return the key that virtual tokens are signed with.

        Raises: WrongSeal.
        """
        return bytes.fromhex(self._seal.open(sealed, SIGNING_KEY))

    def reseal(self, sealed: bytes, appid: str) -> bytes:
        """Return the same text under the newest seal."""
        return self._seal.close(self._seal.open(sealed, appid), appid)


def _parse_record(row: Row[Any], value: str | None) -> Record:
    with _belonging_to(row.appid):
        document = json.loads(row.document)
        if value is not None:
            document["credential"]["value"] = value
        slot = Slot(row.appid, Kind(row.kind))
        return from_document(Record, document, slot=slot, version=row.version, changed_at=row.changed_at)


def read_revision(appid: str, document: str) -> int:
    """Return the revision of an account, without its secret.

    Raises: WrongSeal: it is damaged.
    """
    with _belonging_to(appid):
        return from_document(Account, json.loads(document), appid=appid, secret=Secret("")).revision


def read_key(row: Row[Any]) -> Key:
    """Return the key in `row`."""
    with _expecting():
        return from_document(Key, json.loads(row.document), id=row.id, last_used_at=row.last_used_at)


def write_key(key: Key) -> Columns:
    """Return the columns of `key`."""
    return {"id": key.id, "last_used_at": key.last_used_at, "document": _to_json(to_document(key))}


def read_event(row: Row[Any]) -> KeptEvent:
    """Return the event in `row`."""
    with _expecting():
        return KeptEvent(row.id, row.at, Event(row.code, row.appid, json.loads(row.document)))


def write_event(event: Event, now: Instant) -> Columns:
    """Return the columns of `event`, told at `now`."""
    return {"at": now, "appid": event.appid, "code": event.code, "document": _to_json(event.values)}


@contextmanager
def _belonging_to(appid: str) -> Iterator[None]:
    """Have a damaged document concern nobody but the account that it belongs to."""
    try:
        with _expecting():
            yield
    except RowUnreadable as error:
        raise WrongSeal("wrong_seal", appid=appid) from error


@contextmanager
def _expecting() -> Iterator[None]:
    """Turn what goes wrong with a damaged document into the error that says so."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RowUnreadable from error
