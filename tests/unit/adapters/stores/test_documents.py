"""Values as documents: nothing is lost, and old and new versions read each other's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.adapters.stores.documents import ELSEWHERE, from_document, to_document
from zhongkong.core.grants import Key
from zhongkong.core.model import Account, Credential, Instant, Record, Secret, Slot
from zhongkong.testing.store_contract.stories import ACCOUNT, full_record

finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(Secret, st.builds(Secret, st.text()))


def thawed(value: object, **elsewhere: object) -> Any:
    """Return `value` after a way through JSON text."""
    document = json.loads(json.dumps(to_document(value), allow_nan=False))
    if isinstance(value, Record) and value.credential is not None:
        document["credential"]["value"] = value.credential.value
    return from_document(type(value), document, **elsewhere)


def instants(kind: type[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """Return strategies for the fields of `kind` that hold a bare number, none of them beyond what JSON can say."""
    return {name: finite for name, hint in kind.__annotations__.items() if hint in ("Instant", "Seconds", Instant)}


@given(st.builds(Record, **instants(Record), credential=st.none() | st.builds(Credential, **instants(Credential))))
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Whatever is in it, to the last bit of a number."""
    back = thawed(record, slot=record.slot, version=record.version, changed_at=record.changed_at)
    assert back == record


@given(st.from_type(Account))
def test_an_account_comes_back_as_it_was(account: Account) -> None:
    """With the secret that was kept elsewhere."""
    assert thawed(account, appid=account.appid, secret=account.secret) == account


@given(st.builds(Key, created_at=finite, expires_at=st.none() | finite, last_used_at=st.none() | finite))
def test_a_key_comes_back_as_it_was(key: Key) -> None:
    """Grants, appids and networks too, which JSON knows nothing of."""
    assert thawed(key, id=key.id, last_used_at=key.last_used_at) == key


def test_what_has_a_column_of_its_own_is_in_no_document() -> None:
    """Above all what is sealed."""
    record = full_record()
    assert record.credential is not None
    document = to_document(record)
    assert not ELSEWHERE[Record] & document.keys()
    assert "value" not in document["credential"]
    assert record.credential.value not in json.dumps(document)
    assert ACCOUNT.secret.reveal() not in json.dumps(to_document(ACCOUNT))


def test_what_is_as_by_default_is_left_out() -> None:
    """A slot that nobody touched is an empty document."""
    assert to_document(Record(Slot("wx1"))) == {}
    assert to_document(replace(Record(Slot("wx1")), asks=1)) == {"asks": 1}


def test_every_field_of_the_full_record_is_told() -> None:
    """The record that the contract suite writes leaves none out: a new field without a default there fails here."""
    known = set(Record.__dataclass_fields__) - ELSEWHERE[Record]
    assert set(to_document(full_record())) == known


def test_a_document_of_another_version_is_read() -> None:
    """An older one lacks what has a default; of a newer one the unknown is passed over."""
    assert from_document(Record, {"generation": 3, "of_tomorrow": {"x": 1}}, slot=Slot("wx1")) == Record(
        Slot("wx1"), generation=3
    )


@pytest.mark.parametrize("document", [{"lease": 5}, {"probe": {"last": "maybe"}}, {"attempts": [{"fence": "a"}]}])
def test_a_damaged_document_is_no_record(document: dict[str, Any]) -> None:
    """It raises: half a record would be a wrong one."""
    with pytest.raises((TypeError, ValueError, AttributeError)):
        from_document(Record, document, slot=Slot("wx1"))
