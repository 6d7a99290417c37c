"""The contract of what lies in the store."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from urllib.parse import quote

from zhongkong.core.model import (
    Secret,
)
from zhongkong.core.ports import FullStore
from zhongkong.testing.store_contract.stories import (
    ACCOUNT,
    APPID,
    SECRET,
    TOKEN,
    Harness,
    minted,
    on_a_store,
)


class SealContract:
    """What lies in the store is worth nothing to whoever reads it without the seal."""

    @on_a_store
    async def test_no_secret_and_no_token_lies_in_the_store_unsealed(self, store: FullStore, harness: Harness) -> None:
        """Not in clear, base64, hex or URL form, not in a log beside the database, not what was there before."""
        account = await store.put_account(ACCOUNT)
        await minted(store, account)
        harness.advance(7200)
        await minted(store, account, "second" + TOKEN[6:], fence="f1")
        await store.put_account(replace(account, secret=Secret("second" + SECRET[6:])))
        stored = harness.stored_bytes()
        if stored:
            assert APPID.encode() in stored  # it looks in the right place
        for secret in (TOKEN, "second" + TOKEN[6:], SECRET, "second" + SECRET[6:]):
            for form in _forms(secret):
                assert form not in stored
        await store.remove_account(APPID)


def _forms(secret: str) -> set[bytes]:
    """Return the ways in which a secret might be found; base64 of its inside, whatever stands before it."""
    raw = secret.encode()
    forms = {raw, raw[8:-8], raw.hex().encode(), raw.hex().upper().encode(), quote(secret, safe="").encode()}
    forms.add(json.dumps(secret)[1:-1].encode())
    for shift in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            forms.add(encode(b"\0" * shift + raw)[4:-4])
    return forms
