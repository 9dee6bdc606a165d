"""The time service's process: its folder, its one call, and nothing of the Director's.

key.pem           what attestations are signed with, encrypted
public.pem        its public half, for the Director's Root
tls.key           of its server certificate, encrypted
request.pem       for that certificate, to be signed by the fleet's authority
certificate.pem   the certificate
state/            the latest time that was said
"""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Lock
from typing import assert_never

import grpc
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from director.shell.clock import instant_now, utc_now
from director.shell.folder import make_private
from director.shell.hosting import STOP_GRACE_S, alone, announce, bind, grpc_server, told_to_stop
from director.shell.public_key import as_file
from director.time_service import Asked, Attested, ClockWrong, Mark, TimeService, Unanswerable
from uptane.codec.oer import Oer
from uptane.errors import StorageFailure
from uptane.moments import UtcTime
from uptane.rpc.gen import time_pb2 as pb
from uptane.rpc.gen import time_pb2_grpc as rpc
from uptane.shell import keys, tls
from uptane.shell.files import Store
from uptane.shell.log_stream import log_stream

FLOOR = "floor"
MARK = "mark"

_LOG = structlog.get_logger("marque.time")


class TimeDoor(rpc.TimeServicer):
    """Attestations, for everybody."""

    def __init__(self, service: TimeService, store: Store) -> None:
        self._service = service
        self._store = store
        self._lock = Lock()

    def Attest(self, request: pb.AttestRequest, context: grpc.ServicerContext) -> pb.AttestReply:
        """Say what time it is."""
        reply = pb.AttestReply()
        with self._lock:
            for effect in self._service.handle(Asked(tuple(request.nonces), utc_now()), instant_now()):
                match effect:
                    case Mark(utc=utc):
                        self._mark(utc, context)
                    case Attested(envelopes=envelopes):
                        reply.attestations.extend(envelopes)
                    case Unanswerable(text=text):
                        context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
                    case ClockWrong(text=text):
                        _LOG.error("clock", detail=text)
                        context.abort(grpc.StatusCode.UNAVAILABLE, text)
                    case _:
                        assert_never(effect)
        return reply

    def _mark(self, utc: UtcTime, context: grpc.ServicerContext) -> None:
        try:
            self._store.write(MARK, str(utc).encode())
        except StorageFailure as failure:
            _LOG.error("storage", detail=str(failure))
            context.abort(grpc.StatusCode.UNAVAILABLE, str(failure))


def found(folder: Path, passphrase: bytes) -> None:
    """Make a time service's folder at `folder`, which is absent or empty.

    Raises:
        StorageFailure: there is something, or it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageFailure(f"{folder} exists and is not empty")
    make_private(folder)
    signer = keys.create(folder / "key.pem", passphrase)
    key = tls.new_key()
    private = load_pem_private_key(key, None)
    assert isinstance(private, EllipticCurvePrivateKey)
    tls.write_private(folder / "tls.key", tls.encrypted(private, passphrase))
    tls.write_public(folder / "request.pem", tls.request_for(key))
    Store(folder / "state").write(FLOOR, str(utc_now()).encode())
    tls.write_public(folder / "public.pem", as_file(signer.public))  # last: where it is, all is there


def serve(folder: Path, passphrase: bytes, *, host: str, port: int, port_file: Path | None) -> None:
    """Serve the time until SIGTERM or SIGINT.

    Raises:
        StorageFailure: it is being served already, is no time service's folder, has no certificate yet, or the clock of
            this machine is wrong.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log_stream(sys.stderr)))
    stop = told_to_stop()
    if port_file is not None:
        port_file.unlink(missing_ok=True)  # whoever waits for it must not find the port of an earlier run
    if not (folder / "public.pem").exists():
        raise StorageFailure(f"{folder} is no time service's folder: make one with `marque-time init`")
    if not (folder / "certificate.pem").exists():
        request = folder / "request.pem"
        raise StorageFailure(f"{folder} has no certificate yet: have it made with `marque-director certify {request}`")
    with alone(folder / "state" / "lock", folder):
        store = Store(folder / "state")
        signer = keys.load(folder / "key.pem", passphrase)
        service = TimeService(Oer(), signer, floor=_time(store, FLOOR), mark=_time(store, MARK))
        wrong = service.wrong(utc_now())
        if wrong is not None:
            raise StorageFailure(wrong.text)
        own = tls.load_credential(folder / "certificate.pem", folder / "tls.key", passphrase)
        server = grpc_server(pb.DESCRIPTOR.services_by_name["Time"].full_name)
        rpc.add_TimeServicer_to_server(TimeDoor(service, store), server)
        bound = bind(server, host, port, tls.server_credentials(own))
        server.start()
        if port_file is not None:
            announce(port_file, str(bound))
        sys.stdout.write(f"marque-time: serving {host}:{bound}\n")
        sys.stdout.flush()
        stop.wait()
        server.stop(STOP_GRACE_S).wait()


def _time(store: Store, name: str) -> UtcTime:
    octets = store.read(name)
    return UtcTime(0) if octets is None else UtcTime(int(octets))
