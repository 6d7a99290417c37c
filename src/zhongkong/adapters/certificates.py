"""A private CA for the platform's names, the server certificate it issues, and the files that hold them.

For SDKs that spell the platform's host out: its names lead to a hub, and the SDK's program trusts this CA. Three walls
keep a stolen key from being worth more than that. The CA is constrained to the platform's hosts and the names that a
person added. The constraint stands in an intermediate too: Java does not look at that of a root. And the root's key
signs this one intermediate and is gone: no file ever held it.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zhongkong.core.ports import Seal
from zhongkong.errors import SettingInvalid, StoreRefused, WrongSeal
from zhongkong.wechat.endpoints import PLATFORM_HOSTS

NAMES = (*PLATFORM_HOSTS, "mp.weixin.qq.com", "qyapi.weixin.qq.com")
"""What the certificate is for. Not weixin.qq.com as a whole: WeChat Pay's host is below it."""

CA_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=397)
"""As long as clients take a server's certificate."""
BEFORE = timedelta(hours=1)
"""Valid so long before it was made: a client's clock may be behind."""
ENDS_SOON = timedelta(days=30)
"""People are told when no more than this is left."""

CA_FILE = "zhongkong-ca.pem"
"""What clients are to trust; no secret."""
CA_KEY_FILE = "zhongkong-ca.sealed"
"""The intermediate's key and both certificates, sealed."""
TLS_FILE = "zhongkong-tls.pem"
"""What a hub shows: key, certificate and intermediate, in one file so that they are replaced at once."""

_BOUND_TO = "zhongkong ca"


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that can issue."""

    root: x509.Certificate
    """What clients trust."""
    intermediate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    """The intermediate's."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it may vouch for; names below them too."""
        permitted = self.intermediate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        return tuple(str(one.value) for one in permitted or ())

    @property
    def ends_at(self) -> datetime:
        """When it can vouch for nothing any more."""
        return self.intermediate.not_valid_after_utc


class Shown(NamedTuple):
    """What is known of a server's certificate."""

    names: tuple[str, ...]
    ends_at: datetime

    def judge_end(self, now: datetime) -> str | None:
        """Return the code of what people are to be told of its end, if anything."""
        if now >= self.ends_at:
            return "tls_certificate_ended"
        return "tls_certificate_ends_soon" if now >= self.ends_at - ENDS_SOON else None

    @property
    def ends_on(self) -> str:
        """The day of its end, for people."""
        return f"{self.ends_at:%Y-%m-%d}"


# --- making


def make_authority(more_names: Iterable[str], now: datetime) -> Authority:
    """Return a new CA for the platform's names and `more_names`; the key of its root is gone when this returns."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = tuple(dict.fromkeys((*NAMES, *more_names)))
    root_name, name = _name("zhongkong private CA"), _name("zhongkong private CA, issuing")
    root = (
        _begin(root_name, root_name, root_key.public_key(), root_key, now, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_CERTIFYING, critical=True)
        .add_extension(_constrain(names), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    intermediate = (
        _begin(name, root_name, key.public_key(), root_key, now, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CERTIFYING, critical=True)
        .add_extension(_FOR_SERVERS, critical=False)
        .add_extension(_constrain(names), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    return Authority(root, intermediate, key)


def issue(authority: Authority, more_names: Iterable[str], now: datetime) -> bytes:
    """Return a new server key, its certificate for the platform's names and `more_names`, and the intermediate, as PEM.

    Raises: SettingInvalid: the CA may not vouch for a name, or its own end is near.
    """
    names = tuple(dict.fromkeys((*NAMES, *more_names)))
    for one in names:
        if not any(one == permitted or one.endswith(f".{permitted}") for permitted in authority.names):
            raise SettingInvalid("ca_name_not_permitted", name=one, permitted=", ".join(authority.names))
    if now >= authority.ends_at - ENDS_SOON:
        raise SettingInvalid("ca_ended", date=f"{authority.ends_at:%Y-%m-%d}")
    key = ec.generate_private_key(ec.SECP256R1())
    ends_at = min(now - BEFORE + CERTIFICATE_LIFE, authority.ends_at)
    certificate = (
        _begin(_name(names[0]), authority.intermediate.subject, key.public_key(), authority.key, now, ends_at)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNING, critical=True)
        .add_extension(_FOR_SERVERS, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _pem_of(key) + _pem(certificate) + _pem(authority.intermediate)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    ends_at: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now - BEFORE, ends_at)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _constrain(names: Sequence[str]) -> x509.NameConstraints:
    """Return what a CA may vouch for: these names, and no address (which a list of names alone would leave free)."""
    addresses = [x509.IPAddress(ip_network(one)) for one in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints([x509.DNSName(one) for one in names], addresses)


def _usage(*, signs: bool = False, certifies: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


_SIGNING, _CERTIFYING = _usage(signs=True), _usage(certifies=True)
_FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


# --- files


def save_authority(directory: Path, authority: Authority, seal: Seal) -> None:
    """Write the CA; the sealed file comes last, so that there is a CA or there is none.

    Raises: StoreRefused: the directory cannot be written to.
    """
    _write(directory / CA_FILE, _pem(authority.root), 0o644)
    _seal(directory, _pem_of(authority.key) + _pem(authority.intermediate) + _pem(authority.root), seal)


def load_authority(directory: Path, seal: Seal) -> Authority:
    """Return the CA.

    Raises: SettingInvalid: there is none. StoreRefused: its file is damaged. WrongSeal: another seal closed it.
    """
    held = _unseal(directory, seal)
    intermediate, root = x509.load_pem_x509_certificates(held)
    key = serialization.load_pem_private_key(held, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StoreRefused("tls_file_damaged", path=str(directory / CA_KEY_FILE))
    return Authority(root, intermediate, key)


def reseal_authority(directory: Path, seal: Seal) -> int:
    """Close the CA anew by the newest key of the seal, if there is a CA; return how many there were.

    Raises: StoreRefused. WrongSeal.
    """
    if not has_authority(directory):
        return 0
    _seal(directory, _unseal(directory, seal), seal)
    return 1


def has_authority(directory: Path) -> bool:
    """Say whether there is a CA."""
    return os.path.lexists(directory / CA_KEY_FILE)


def save_certificate(directory: Path, pem: bytes) -> None:
    """Put a server's key and certificates in the place of the former: a hub that runs takes them up by itself.

    Raises: StoreRefused: the directory cannot be written to.
    """
    _write(directory / TLS_FILE, pem, 0o600)


def read_certificate(path: Path) -> Shown:
    """Return what the server's certificate says.

    Raises: SettingInvalid: there is none, or it cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except FileNotFoundError as error:
        raise SettingInvalid("tls_certificate_missing", path=str(path)) from error
    except OSError as error:
        raise SettingInvalid("tls_certificate_unreadable", path=str(path), why=_why(error)) from error
    except (ValueError, x509.ExtensionNotFound) as error:
        raise SettingInvalid("tls_certificate_damaged", path=str(path)) from error
    return Shown(tuple(names.get_values_for_type(x509.DNSName)), certificate.not_valid_after_utc)


def at(wall: float) -> datetime:
    """Return a clock's seconds as X.509 counts time."""
    return datetime.fromtimestamp(wall, UTC)


def _seal(directory: Path, pem: bytes, seal: Seal) -> None:
    _write(directory / CA_KEY_FILE, urlsafe_b64encode(seal.close(pem.decode("ascii"), _BOUND_TO)) + b"\n", 0o600)


def _unseal(directory: Path, seal: Seal) -> bytes:
    path = directory / CA_KEY_FILE
    try:
        return seal.open(urlsafe_b64decode(path.read_bytes()), _BOUND_TO).encode("ascii")
    except FileNotFoundError as error:
        raise SettingInvalid("ca_missing", path=str(path)) from error
    except OSError as error:
        raise StoreRefused("tls_file_unreadable", path=str(path), why=_why(error)) from error
    except NotBase64 as error:
        raise StoreRefused("tls_file_damaged", path=str(path)) from error
    except WrongSeal as error:
        raise WrongSeal("ca_wrong_seal", path=str(path)) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in the place of another, whole and durably."""
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreRefused("tls_file_unwritable", path=str(path), why=_why(error)) from error


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
