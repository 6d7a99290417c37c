"""The private CA: what it may vouch for, what it issues, and that nothing else can be had from its key."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.forging import forge
from zhongkong.adapters.certificates import (
    CA_FILE,
    CA_KEY_FILE,
    CERTIFICATE_LIFE,
    NAMES,
    TLS_FILE,
    Authority,
    issue,
    load_authority,
    make_authority,
    read_certificate,
    reseal_authority,
    save_authority,
    save_certificate,
)
from zhongkong.adapters.seal import FileSeal, RingSeal
from zhongkong.errors import SettingInvalid, StoreRefused, WrongSeal

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SEAL = RingSeal(bytes(32))


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A CA that may vouch for hub.internal too."""
    return make_authority(["hub.internal"], NOW)


def verify(authority: Authority, pem: bytes, name: str, now: datetime = NOW) -> None:
    """Verify a server as a client does that trusts the root."""
    leaf, *between = x509.load_pem_x509_certificates(pem)
    store = Store([authority.root])
    PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(name)).verify(leaf, between)


def constraints(certificate: x509.Certificate) -> x509.Extension[x509.NameConstraints]:
    """Return what a CA may vouch for."""
    return certificate.extensions.get_extension_for_class(x509.NameConstraints)


def test_root_and_intermediate_are_constrained_to_the_names_and_to_no_address(authority: Authority) -> None:
    """Both, and critically: some verifiers pass over a root's constraints, none over an intermediate's."""
    for certificate in (authority.root, authority.intermediate):
        found = constraints(certificate)
        assert found.critical
        assert [one.value for one in found.value.permitted_subtrees or ()] == [*NAMES, "hub.internal"]
        excluded = [one.value for one in found.value.excluded_subtrees or ()]
        assert excluded == [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert authority.names == (*NAMES, "hub.internal")


def test_no_permitted_name_is_above_wechat_pay() -> None:
    """A CA for all of weixin.qq.com could stand in for where the money is."""
    assert not [name for name in NAMES if "api.mch.weixin.qq.com".endswith(name)]
    assert not [name for name in NAMES if "open.weixin.qq.com".endswith(name)]


def test_the_key_that_is_kept_is_the_intermediates_and_can_make_no_further_ca(authority: Authority) -> None:
    """The root's has signed once and is gone."""
    assert authority.key.public_key() == authority.intermediate.public_key()
    assert authority.key.public_key() != authority.root.public_key()
    assert isinstance(authority.key.curve, ec.SECP256R1)
    basic = authority.intermediate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = authority.intermediate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert "key=" not in repr(authority)


def test_a_certificate_is_for_the_platforms_names_and_those_added(authority: Authority) -> None:
    """Each of them verifies; it serves and does nothing else; its key is new each time."""
    pem = issue(authority, ["a.hub.internal"], NOW)
    for name in (*NAMES, "a.hub.internal"):
        verify(authority, pem, name)
    with pytest.raises(VerificationError):
        verify(authority, pem, "hub.internal")
    leaf = x509.load_pem_x509_certificates(pem)[0]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert leaf.public_key() != x509.load_pem_x509_certificates(issue(authority, [], NOW))[0].public_key()


def test_it_lives_as_long_as_clients_take_one_and_not_beyond_its_ca(authority: Authority) -> None:
    """397 days from an hour before it was made, for clocks that are behind."""
    leaf = x509.load_pem_x509_certificates(issue(authority, [], NOW))[0]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == CERTIFICATE_LIFE == timedelta(days=397)
    assert leaf.not_valid_before_utc < NOW
    late = x509.load_pem_x509_certificates(issue(authority, [], authority.ends_at - 100 * DAY))[0]
    assert late.not_valid_after_utc == authority.ends_at
    with pytest.raises(SettingInvalid, match="ca_ended"):
        issue(authority, [], authority.ends_at - 29 * DAY)


@pytest.mark.parametrize("name", ["example.com", "api.mch.weixin.qq.com", "weixin.qq.com", "xapi.weixin.qq.com"])
def test_a_foreign_name_is_not_issued_and_if_forged_not_believed(authority: Authority, name: str) -> None:
    """What a thief of the key can do ends where the constraint does."""
    with pytest.raises(SettingInvalid, match="ca_name_not_permitted"):
        issue(authority, [name], NOW)
    with pytest.raises(VerificationError, match=r"(?i)constraint|permitted"):
        verify(authority, forge(authority, name, NOW), name)


def test_a_forged_name_that_is_permitted_is_believed(authority: Authority) -> None:
    """So that the test above refuses for the reason it says."""
    verify(authority, forge(authority, "api.weixin.qq.com", NOW), "api.weixin.qq.com")


def test_a_saved_ca_comes_back_and_its_key_is_nowhere_in_clear(authority: Authority, tmp_path: Path) -> None:
    """The file for clients is all that is public."""
    save_authority(tmp_path, authority, SEAL)
    assert load_authority(tmp_path, SEAL).root == authority.root
    assert load_authority(tmp_path, SEAL).key.private_numbers() == authority.key.private_numbers()
    assert sorted(path.name for path in tmp_path.iterdir()) == [CA_FILE, CA_KEY_FILE]
    assert x509.load_pem_x509_certificate((tmp_path / CA_FILE).read_bytes()) == authority.root
    assert b"BEGIN" not in (tmp_path / CA_KEY_FILE).read_bytes()
    if os.name == "posix":
        assert (tmp_path / CA_KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_opened_is_told_apart(authority: Authority, tmp_path: Path) -> None:
    """None yet, another seal's, damaged."""
    with pytest.raises(SettingInvalid, match="ca_missing"):
        load_authority(tmp_path, SEAL)
    save_authority(tmp_path, authority, SEAL)
    with pytest.raises(WrongSeal, match="ca_wrong_seal"):
        load_authority(tmp_path, RingSeal(bytes(31) + b"x"))
    (tmp_path / CA_KEY_FILE).write_bytes(b"A")
    with pytest.raises(StoreRefused, match="tls_file_damaged"):
        load_authority(tmp_path, SEAL)
    with pytest.raises(StoreRefused, match="tls_file_unwritable"):
        save_authority(tmp_path / "none", authority, SEAL)


def test_a_rotated_seal_opens_it_once_it_was_closed_anew(authority: Authority, tmp_path: Path) -> None:
    """The second rotation forgets the key that closed it first."""
    seal = FileSeal(tmp_path / "seal")
    assert reseal_authority(tmp_path, seal) == 0
    save_authority(tmp_path, authority, seal)
    for _ in range(3):
        seal.rotate()
        assert reseal_authority(tmp_path, seal) == 1
    assert load_authority(tmp_path, FileSeal(tmp_path / "seal")).root == authority.root


def test_a_certificate_says_when_its_end_is_near_and_when_it_is_over(authority: Authority, tmp_path: Path) -> None:
    """People hear of it a month ahead."""
    save_certificate(tmp_path, issue(authority, ["hub.internal"], NOW))
    shown = read_certificate(tmp_path / TLS_FILE)
    assert shown.names == (*NAMES, "hub.internal")
    assert shown.ends_on == "2027-12-23"
    assert shown.judge_end(shown.ends_at - 31 * DAY) is None
    assert shown.judge_end(shown.ends_at - 30 * DAY) == "tls_certificate_ends_soon"
    assert shown.judge_end(shown.ends_at) == "tls_certificate_ended"
    if os.name == "posix":
        assert (tmp_path / TLS_FILE).stat().st_mode & 0o777 == 0o600


def test_a_certificate_that_is_none_is_told_apart(tmp_path: Path) -> None:
    """Absent, unreadable, something else."""
    with pytest.raises(SettingInvalid, match="tls_certificate_missing"):
        read_certificate(tmp_path / TLS_FILE)
    with pytest.raises(SettingInvalid, match="tls_certificate_unreadable"):
        read_certificate(tmp_path)
    (tmp_path / TLS_FILE).write_text("something else")
    with pytest.raises(SettingInvalid, match="tls_certificate_damaged"):
        read_certificate(tmp_path / TLS_FILE)
