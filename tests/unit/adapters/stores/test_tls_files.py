"""The files that a MySQL URL names for TLS are looked at before the driver, and told by option and path."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from zhongkong.adapters.stores.addresses import ServerAddress, parse_address
from zhongkong.adapters.stores.server_dialects import dialect_of
from zhongkong.adapters.stores.tls_files import is_tls_trouble
from zhongkong.errors import SettingInvalid
from zhongkong.wechat.advice import explain_error


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("ssl_ca={away}", "store_tls_file_unreadable", "ssl_ca"),
        ("ssl_ca={text}", "store_tls_file_unfit", "ssl_ca"),
        ("ssl_cert={away}&ssl_key={text}", "store_tls_file_unreadable", "ssl_cert"),
        ("ssl_cert={text}&ssl_key={away}", "store_tls_file_unreadable", "ssl_key"),
        ("ssl_cert={text}&ssl_key={text}", "store_tls_pair_unfit", "ssl_cert"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, query: str, code: str, named: str) -> None:
    """By option and path, before anything is connected to."""
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    address = parse_address("mysql://user:hunter2@db/z?" + query.format(away=tmp_path / "away.pem", text=text))
    assert isinstance(address, ServerAddress)
    with pytest.raises(SettingInvalid) as refused:
        dialect_of(address, "zk_")
    assert refused.value.code == code
    for told in (explain_error(refused.value, "zh"), explain_error(refused.value, "en")):
        assert named in told
        assert str(tmp_path) in told


@pytest.mark.parametrize(
    ("origin", "is_trouble"),
    [
        (ssl.SSLCertVerificationError("certificate verify failed"), True),
        (ssl.SSLEOFError("EOF occurred"), False),
        (ConnectionRefusedError("refused"), False),
        (None, False),
    ],
)
def test_a_broken_connection_is_no_trouble_with_tls(origin: Exception | None, *, is_trouble: bool) -> None:
    """What broke off is tried again; what was not agreed on is for a person."""
    cause = Exception(2003, "as PyMySQL says it")
    cause.original_exception = origin  # type: ignore[attr-defined]
    assert is_tls_trouble(cause) is is_trouble
