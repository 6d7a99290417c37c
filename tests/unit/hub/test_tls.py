"""What the TLS port shows: the certificate that is in the file, whatever becomes of it meanwhile."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from zhongkong.adapters.certificates import TLS_FILE, Authority, at, issue, make_authority, save_certificate
from zhongkong.errors import SettingInvalid
from zhongkong.hub.tls import build_context, warn_of_end
from zhongkong.testing import FakeClock

NOW = at(FakeClock().wall())


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A CA."""
    return make_authority([], NOW)


@pytest.fixture
def file(tmp_path: Path, authority: Authority) -> Path:
    """Where a certificate is."""
    save_certificate(tmp_path, issue(authority, [], NOW))
    return tmp_path / TLS_FILE


def shake_hands(server: ssl.SSLContext, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> bytes:
    """Return the certificate that is shown to a client who looks at none."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = newest
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="api.weixin.qq.com")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for one in (here, there) * 3:
        with suppress(ssl.SSLWantReadError):
            one.do_handshake()
    shown = here.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def held_in(file: Path) -> bytes:
    """Return the server's certificate in a file."""
    return ssl.PEM_cert_to_DER_cert(_first_of(file))


def _first_of(file: Path) -> str:
    _, begin, rest = file.read_text().partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----")
    return begin + body + end


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(
    file: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody restarts a hub once a year in time."""
    caplog.set_level(logging.INFO)
    context = build_context(file, "en")
    assert shake_hands(context) == held_in(file)
    former = held_in(file)
    save_certificate(file.parent, issue(authority, [], NOW))
    assert shake_hands(context) == held_in(file) != former
    assert shake_hands(context) == held_in(file)
    assert [record.getMessage() for record in caplog.records].count(
        f"The new TLS certificate is in use; it ends on {(NOW + timedelta(days=397, hours=-1)):%Y-%m-%d}."
    ) == 1


@pytest.mark.parametrize("damage", ["gone", "cut", "mixed"])
def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_once(
    file: Path, authority: Authority, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """The certificate that is in memory is as good as before."""
    context, former = build_context(file, "en"), held_in(file)
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:300])
    else:
        key, _, _ = file.read_bytes().partition(b"-----BEGIN CERTIFICATE")
        _, begin, others = issue(authority, [], NOW).partition(b"-----BEGIN CERTIFICATE")
        save_certificate(file.parent, key + begin + others)
    for _ in range(3):
        assert shake_hands(context) == former
    assert len(caplog.records) == 1
    assert "zhongkong ca issue" in caplog.text


def test_it_speaks_tls_1_2_and_nothing_older(file: Path) -> None:
    """Old SDKs have no newer one; what is older is broken."""
    context = build_context(file, None)
    assert shake_hands(context, ssl.TLSVersion.TLSv1_2) == held_in(file)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_without_a_certificate_it_is_not_begun(tmp_path: Path) -> None:
    """The text says which command makes one."""
    with pytest.raises(SettingInvalid, match="tls_certificate_missing"):
        build_context(tmp_path / TLS_FILE, None)


@pytest.mark.parametrize(
    ("days_left", "said", "times"),
    [(33, "", 0), (32, "ends on", 1), (29, "ends on", 3), (0, "refuse to connect (certificate has expired)", 3)],
)
def test_its_end_is_logged_a_month_ahead_and_afterwards(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, days_left: int, said: str, times: int
) -> None:
    """Every day, in words, with the command that mends it."""
    pem = issue(authority, [], NOW)
    save_certificate(tmp_path, pem)
    ends_at = x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc
    clock = FakeClock(ends_at.timestamp() - days_left * 86_400)

    async def watch() -> None:
        async with asyncio.timeout(2.5 * 86_400):
            await warn_of_end(tmp_path / TLS_FILE, clock, "en")

    with pytest.raises(TimeoutError):
        clock.run(watch())
    assert [said in record.getMessage() for record in caplog.records] == [True] * times
