"""Certificates, and who a server takes its callers for: over real TLS on a free port."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from uptane.errors import StorageFailure
from uptane.shell import tls


@pytest.fixture(scope="module")
def authority() -> tls.Authority:
    return tls.Authority.create("test authority")


@contextmanager
def serving(credentials: grpc.ServerCredentials, answer: Callable[[grpc.ServicerContext], str]) -> Iterator[int]:
    """A server with one method that says who calls."""

    def say(_request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return answer(context).encode()
        except tls.PeerRefused as refusal:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refusal))

    server = grpc.server(futures.ThreadPoolExecutor(2), options=tls.LIMITS)
    handler: Any = grpc.unary_unary_rpc_method_handler(say)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", {"Say": handler}),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def ask(port: int, credentials: grpc.ChannelCredentials, host: str = "127.0.0.1") -> str:
    with grpc.secure_channel(f"{host}:{port}", credentials, options=tls.LIMITS) as channel:
        call: Any = channel.unary_unary("/t.T/Say", None, None)
        return bytes(call(b"", timeout=10)).decode()


def refused(port: int, credentials: grpc.ChannelCredentials) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        ask(port, credentials)
    error: Any = caught.value
    return error.code()  # type: ignore[no-any-return]


def test_a_client_is_known_by_its_one_uri(authority: tls.Authority) -> None:
    client = authority.client("marque:operator:anna")
    with serving(tls.server_credentials(authority.server(), authority.certificate), tls.peer_uri) as port:
        for host in ("127.0.0.1", "localhost"):
            assert ask(port, tls.channel_credentials(authority.certificate, client), host) == "marque:operator:anna"


def test_a_client_is_known_by_its_serial_number(authority: tls.Authority) -> None:
    client = authority.client("marque:vehicle:V1")
    with serving(
        tls.server_credentials(authority.server(), authority.certificate), lambda context: tls.peer(context).serial
    ) as port:
        assert ask(port, tls.channel_credentials(authority.certificate, client)) == client.serial
    assert client.serial != authority.client("marque:vehicle:V1").serial


def test_a_vehicle_is_no_operator(authority: tls.Authority) -> None:
    def operator(context: grpc.ServicerContext) -> str:
        return tls.peer_name(context, "operator")

    with serving(tls.server_credentials(authority.server(), authority.certificate), operator) as port:
        anna = tls.channel_credentials(authority.certificate, authority.client("marque:operator:anna"))
        assert ask(port, anna) == "anna"
        for uri in ("marque:vehicle:V1", "marque:operator:", "marque:operators:x", "operator:x"):
            other = tls.channel_credentials(authority.certificate, authority.client(uri))
            assert refused(port, other) is grpc.StatusCode.PERMISSION_DENIED, uri


def _with_names(authority: tls.Authority, names: list[x509.GeneralName] | None) -> tls.Credential:
    """A client certificate of the authority with other alternative names than it would give."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = tls._builder("odd", key.public_key(), 1).issuer_name(authority._certificate.subject)
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(authority._key, hashes.SHA256())
    return tls.Credential(certificate.public_bytes(serialization.Encoding.PEM), tls.encrypted(key, None))


@pytest.mark.parametrize(
    "names",
    [
        None,
        [x509.DNSName("marque:operator:anna")],
        [x509.UniformResourceIdentifier("marque:operator:anna"), x509.UniformResourceIdentifier("marque:operator:b")],
        [x509.UniformResourceIdentifier("marque:operator:anna"), x509.DNSName("localhost")],
    ],
    ids=["none", "dns", "two uris", "uri and dns"],
)
def test_anything_but_one_uri_is_refused(authority: tls.Authority, names: list[x509.GeneralName] | None) -> None:
    with serving(tls.server_credentials(authority.server(), authority.certificate), tls.peer_uri) as port:
        odd = tls.channel_credentials(authority.certificate, _with_names(authority, names))
        assert refused(port, odd) is grpc.StatusCode.PERMISSION_DENIED


def test_no_certificate_is_refused_where_one_is_needed(authority: tls.Authority) -> None:
    with serving(tls.server_credentials(authority.server(), authority.certificate), tls.peer_uri) as port:
        assert refused(port, tls.channel_credentials(authority.certificate)) is grpc.StatusCode.UNAVAILABLE


def test_another_authoritys_client_is_refused(authority: tls.Authority) -> None:
    foreign = tls.Authority.create("foreign").client("marque:operator:anna")
    with serving(tls.server_credentials(authority.server(), authority.certificate), tls.peer_uri) as port:
        assert refused(port, tls.channel_credentials(authority.certificate, foreign)) is grpc.StatusCode.UNAVAILABLE


def test_another_authoritys_server_is_refused(authority: tls.Authority) -> None:
    foreign = tls.Authority.create("foreign")
    with serving(tls.server_credentials(foreign.server()), lambda _context: "hello") as port:
        assert ask(port, tls.channel_credentials(foreign.certificate)) == "hello"
        assert refused(port, tls.channel_credentials(authority.certificate)) is grpc.StatusCode.UNAVAILABLE


def test_a_server_without_client_certificates_knows_nobody(authority: tls.Authority) -> None:
    with serving(tls.server_credentials(authority.server()), tls.peer_uri) as port:
        client = tls.channel_credentials(authority.certificate, authority.client("marque:operator:anna"))
        assert refused(port, client) is grpc.StatusCode.PERMISSION_DENIED


def test_server_certificate_carries_the_names_given(authority: tls.Authority) -> None:
    certificate = x509.load_pem_x509_certificate(
        authority.server(["repo.example", "10.1.2.3", "localhost"]).certificate
    )
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "repo.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "10.1.2.3"]


def test_authority_is_kept_encrypted_and_private(authority: tls.Authority, tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    authority.save(certificate, key, b"secret")
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in key.read_bytes()
    assert tls.Authority.load(certificate, key, b"secret").certificate == authority.certificate
    with pytest.raises(StorageFailure, match="exists already"):
        authority.save(certificate, key, b"secret")
    for passphrase, complaint in ((b"wrong", "wrong"), (None, "encrypted")):
        with pytest.raises(StorageFailure, match=complaint):
            tls.Authority.load(certificate, key, passphrase)


def test_a_secret_open_to_others_is_not_used(authority: tls.Authority, tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    tls.save_credential(authority.client("marque:operator:anna"), certificate, key)
    assert tls.load_credential(certificate, key).certificate == certificate.read_bytes()
    key.chmod(0o640)
    with pytest.raises(StorageFailure, match="chmod 600"):
        tls.load_credential(certificate, key)


def test_damaged_or_mismatched_files_are_named(authority: tls.Authority, tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    tls.save_credential(authority.client("marque:operator:anna"), certificate, key)
    other = tmp_path / "other.pem"
    other.write_bytes(authority.certificate)
    with pytest.raises(StorageFailure, match="not the certificate of the key"):
        tls.load_credential(other, key)
    certificate.write_bytes(b"rubbish")
    with pytest.raises(StorageFailure, match="no certificate"):
        tls.load_credential(certificate, key)
    key.write_bytes(b"rubbish")
    with pytest.raises(StorageFailure, match="no private key"):
        tls.load_credential(certificate, key)
    with pytest.raises(StorageFailure, match="cannot be read"):
        tls.load_credential(certificate, tmp_path / "absent")


def test_a_request_is_certified_for_its_own_key_only(authority: tls.Authority) -> None:
    key = tls.new_key()
    certificate = authority.certify_client(tls.request_for(key), "marque:vehicle:VIN1")
    own = tls.Credential(certificate, key)
    with serving(tls.server_credentials(authority.server(), authority.certificate), tls.peer_uri) as port:
        assert ask(port, tls.channel_credentials(authority.certificate, own)) == "marque:vehicle:VIN1"
    server = tls.Credential(authority.certify_server(tls.request_for(key), ["time.example"]), key)
    with serving(tls.server_credentials(server), lambda _: "here") as port:
        assert ask(port, tls.channel_credentials(authority.certificate)) == "here"


def _changed(request: bytes) -> bytes:
    der = bytearray(x509.load_pem_x509_csr(request).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return b"".join(
        (b"-----BEGIN CERTIFICATE REQUEST-----\n", b64encode(der), b"\n-----END CERTIFICATE REQUEST-----\n")
    )


def _other_curve() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "make", [lambda: b"", lambda: b"nonsense", lambda: _changed(tls.request_for(tls.new_key())), _other_curve]
)
def test_what_is_no_request(authority: tls.Authority, make: Callable[[], bytes]) -> None:
    with pytest.raises(tls.RequestRefused):
        authority.certify_client(make(), "marque:vehicle:VIN1")
