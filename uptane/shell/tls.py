"""Who is who on the servers' connections: a certificate authority, its certificates, and gRPC's credentials from them.

Every key is P-256 (gRPC's TLS takes no Ed25519 or ML-DSA leaf). A client is named by the one URI in its certificate,
`marque:vehicle:<id>` or `marque:operator:<name>`; anything else in that place is refused. Python's gRPC reads no
revocation lists: the service compares `Peer.serial` with those it has revoked.
Secrets are written with mode 0600 and read only if nobody else can read them.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from uptane.errors import MarqueError, StorageFailure
from uptane.shell import pkcs8, tls_client

AUTHORITY_DAYS = 7_300  # 20 years: the life of a vehicle
SERVER_DAYS = 825  # what TLS clients commonly accept at most
CLIENT_DAYS = 3_650  # a vehicle may stand in a barn for years; revocation is by serial number
BACKDATED_DAYS = 1  # clocks of vehicles lag

# What a client needs as well, and a vehicle loads alone.
LIMITS = tls_client.LIMITS
MESSAGE_LENGTH_MAX = tls_client.MESSAGE_LENGTH_MAX
read_private = tls_client.read_private
read_public = tls_client.read_public


class PeerRefused(MarqueError):
    """The other end of a connection shows no certificate that names one client."""


class RequestRefused(MarqueError):
    """What should be certified is no request for a certificate."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: the one URI of its certificate, and the certificate's serial number in hex."""

    uri: str
    serial: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its private key, both PEM; the key is not encrypted, so it is for memory and files of 0600."""

    certificate: bytes
    key: bytes

    @property
    def serial(self) -> str:
        """The certificate's serial number in hex, as `Peer.serial` shows it."""
        return f"{x509.load_pem_x509_certificate(self.certificate).serial_number:x}"


class Authority:
    """Issues certificates; its key is made here and kept encrypted."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new authority called `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = _key_usage(signs_certificates=True)
        builder = _builder(name, key.public_key(), AUTHORITY_DAYS).issuer_name(_named(name))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: Path, key: Path, passphrase: bytes | None) -> Authority:
        """The authority written by `save`.

        Raises:
            StorageFailure: a file is missing, readable by others, or not what it should be; or a wrong passphrase.
        """
        private = _private(read_private(key), passphrase, key)
        return cls(_certificate(read_public(certificate), certificate), private)

    def save(self, certificate: Path, key: Path, passphrase: bytes | None) -> None:
        """Write certificate and key; the key is encrypted if there is a passphrase. Existing files are not replaced."""
        write_private(key, encrypted(self._key, passphrase))
        write_public(certificate, self.certificate)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM: what clients and servers trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, names: Sequence[str] = ()) -> Credential:
        """A server's certificate for localhost, 127.0.0.1 and `names` (DNS names or addresses)."""
        distinct = dict.fromkeys(["localhost", "127.0.0.1", *names])
        return self._issue("server", [_general(name) for name in distinct], ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, uri: str) -> Credential:
        """A client's certificate whose one alternative name is `uri`, such as `marque:operator:anna`."""
        return self._issue("client", [x509.UniformResourceIdentifier(uri)], ExtendedKeyUsageOID.CLIENT_AUTH)

    def certify_client(self, request: bytes, uri: str) -> bytes:
        """A client's certificate, PEM, for the key of a `request`; what else the request asks for is not looked at.

        Raises:
            RequestRefused: it is no PKCS#10 request, or not signed by its own P-256 key.
        """
        names = [x509.UniformResourceIdentifier(uri)]
        return self._certify("client", _requested(request), names, ExtendedKeyUsageOID.CLIENT_AUTH)

    def certify_server(self, request: bytes, names: Sequence[str] = ()) -> bytes:
        """A server's certificate, PEM, for the key of a `request`: for localhost, 127.0.0.1 and `names`.

        Raises:
            RequestRefused: it is no PKCS#10 request, or not signed by its own P-256 key.
        """
        distinct = [_general(name) for name in dict.fromkeys(["localhost", "127.0.0.1", *names])]
        return self._certify("server", _requested(request), distinct, ExtendedKeyUsageOID.SERVER_AUTH)

    def _issue(self, kind: str, names: Sequence[x509.GeneralName], usage: x509.ObjectIdentifier) -> Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        return Credential(self._certify(kind, key.public_key(), names, usage), encrypted(key, None))

    def _certify(
        self,
        kind: str,
        public: ec.EllipticCurvePublicKey,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
    ) -> bytes:
        days = SERVER_DAYS if usage == ExtendedKeyUsageOID.SERVER_AUTH else CLIENT_DAYS
        builder = _builder(f"marque {kind}", public, days).issuer_name(self._certificate.subject)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(own, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def encrypted(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    """A private key as PKCS#8 PEM, encrypted if there is a passphrase."""
    plain = serialization.NoEncryption()
    if not passphrase:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain)
    text = b64encode(pkcs8.encrypted(der, passphrase))
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + lines + b"\n-----END ENCRYPTED PRIVATE KEY-----\n"


def new_key() -> bytes:
    """A new private key, PKCS#8 PEM, not encrypted: for memory and files of 0600."""
    return encrypted(ec.generate_private_key(ec.SECP256R1()), None)


def request_for(key: bytes) -> bytes:
    """A PKCS#10 request, PEM, for the public half of a private key (PEM, not encrypted); it asks for no name."""
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def fingerprint(request: bytes) -> str:
    """SHA-256, in hex, of the key that a request asks a certificate for: for two people to compare.

    Raises:
        RequestRefused: it is no PKCS#10 request, or not signed by its own P-256 key.
    """
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(_requested(request).public_bytes(*form)).hexdigest()


def save_credential(credential: Credential, certificate: Path, key: Path, passphrase: bytes | None = None) -> None:
    """Write certificate and key; the key is encrypted if there is a passphrase. Existing files are not replaced."""
    write_private(key, encrypted(_private(credential.key, None, key), passphrase))
    write_public(certificate, credential.certificate)


def load_credential(certificate: Path, key: Path, passphrase: bytes | None = None) -> Credential:
    """Certificate and key written by `save_credential`.

    Raises:
        StorageFailure: a file is missing, readable by others, or not what it should be; or a wrong passphrase.
    """
    private = _private(read_private(key), passphrase, key)
    octets = read_public(certificate)
    if _certificate(octets, certificate).public_key() != private.public_key():
        raise StorageFailure(f"{certificate} is not the certificate of the key in {key}")
    return Credential(octets, encrypted(private, None))


# ------------------------------------------------------------------------------------------------- gRPC


def server_credentials(own: Credential, clients: bytes | None = None) -> grpc.ServerCredentials:
    """Server TLS; with `clients`, an authority's certificate, every client must show a certificate of it."""
    chain = [(own.key, own.certificate)]
    return grpc.ssl_server_credentials(chain, clients, require_client_auth=clients is not None)


def channel_credentials(authority: bytes, own: Credential | None = None) -> grpc.ChannelCredentials:
    """A client's TLS: trusts servers of `authority` (PEM) only, and shows its own certificate if it has one."""
    return tls_client.client_credentials(authority, None if own is None else (own.certificate, own.key))


def peer(context: grpc.ServicerContext) -> Peer:
    """Who calls.

    Raises:
        PeerRefused: no certificate, or one whose alternative names are not exactly one URI.
    """
    # The stubs say bytes; gRPC gives a list of bytes for each property.
    shown = cast("Mapping[str, Sequence[bytes]]", context.auth_context()).get("x509_pem_cert", ())
    if len(shown) != 1:
        raise PeerRefused("no client certificate")
    return _peer_of(shown[0])


def peer_uri(context: grpc.ServicerContext) -> str:
    """The one URI that names the caller.

    Raises:
        PeerRefused: no certificate, or one whose alternative names are not exactly one URI.
    """
    return peer(context).uri


def peer_name(context: grpc.ServicerContext, kind: str) -> str:
    """The caller's name if it is a `kind` ("vehicle", "operator"): `marque:<kind>:<name>`.

    Raises:
        PeerRefused: no certificate, or one that names something else.
    """
    uri = peer(context).uri
    prefix = f"marque:{kind}:"
    if not uri.startswith(prefix) or len(uri) == len(prefix):
        raise PeerRefused(f"the client certificate names {uri[:100]!r}, which is no {kind}")
    return uri.removeprefix(prefix)


@lru_cache(maxsize=1024)  # a connection shows the same certificate on every call
def _peer_of(pem: bytes) -> Peer:
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        raise PeerRefused("the client certificate's alternative names are not exactly one URI")
    return Peer(names[0].value, f"{certificate.serial_number:x}")


# ------------------------------------------------------------------------------------------------- files


def write_private(path: Path, octets: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises:
        StorageFailure: it exists already, or cannot be written.
    """
    _write_new(path, octets, 0o600)


def write_public(path: Path, octets: bytes) -> None:
    """Write a new file that all can read.

    Raises:
        StorageFailure: it exists already, or cannot be written.
    """
    _write_new(path, octets, 0o644)


def _write_new(path: Path, octets: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise StorageFailure(f"{path} exists already and is not replaced") from error
    except OSError as error:
        raise StorageFailure(f"{path} cannot be written: {error.strerror}") from error


def _private(pem: bytes, passphrase: bytes | None, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, passphrase or None)
    except TypeError as error:
        needed = "is not encrypted, but a passphrase was given" if passphrase else "is encrypted: give its passphrase"
        raise StorageFailure(f"{path} {needed}") from error
    except ValueError as error:
        raise StorageFailure(f"{path} is no private key, or the passphrase is wrong") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StorageFailure(f"{path} holds no P-256 key")
    return key


def _certificate(pem: bytes, path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise StorageFailure(f"{path} is no certificate") from error


def _requested(request: bytes) -> ec.EllipticCurvePublicKey:
    """The key a request asks a certificate for."""
    try:
        asked = x509.load_pem_x509_csr(request)
        public = asked.public_key()
        genuine = asked.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RequestRefused("this is no request for a certificate (PKCS#10, PEM)") from error
    if not genuine or not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise RequestRefused("the request is not signed by its own P-256 key")
    return public


def _builder(name: str, public: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(_named(name)).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=BACKDATED_DAYS))
    builder = builder.not_valid_after(now + dt.timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
