"""A private CA and a certificate for loopback and the platform's names; the key is made anew for a test run."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zhongkong.wechat.endpoints import PLATFORM_HOSTS


class Certificates:
    """`server` is what a server of the house speaks TLS with, `trusting` a client's context that trusts its CA."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zhongkong tests")])
        names = [x509.IPAddress(ip_address("127.0.0.1")), *(x509.DNSName(host) for host in PLATFORM_HOSTS)]
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = folder / "certificate.pem"
        pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._pem = str(pem)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(pem)
        self.trusting = ssl.create_default_context(cafile=self._pem)

    def server_of(self, newest: ssl.TLSVersion) -> ssl.SSLContext:
        """Return a server's context that has not heard of anything newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pem)
        context.maximum_version = newest
        return context

    def trusting_only(self, oldest: ssl.TLSVersion) -> ssl.SSLContext:
        """Return a client's context that takes nothing older."""
        context = ssl.create_default_context(cafile=self._pem)
        context.minimum_version = oldest
        return context
