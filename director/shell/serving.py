"""The server process: one port for vehicles and operators, the Image repository heard in between, and a clean end."""

from __future__ import annotations

import fcntl
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from director.shell.catalogue_client import ImageRepository
from director.shell.database import Database
from director.shell.folder import Folder, KeyRing, Settings, make_private
from director.shell.keeper import Keeper, Terms
from director.shell.operator_api import Office, OperatorDoor
from director.shell.vehicle_api import VehicleDoor
from uptane.codec.oer import Oer
from uptane.crypto import Sha2
from uptane.errors import StorageFailure
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.shell import tls

CALLS_MAX = 64  # served at once, each on a thread; whoever comes then is told to come again
STOP_GRACE_S = 1.0  # seconds for calls under way when the process is told to end

OPTIONS = (
    *tls.LIMITS,
    ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server that gets half of the calls
    ("grpc.keepalive_time_ms", 30_000),  # a vehicle that drove into a tunnel gives its place back
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to write the port that was got, and what the server is reached at, if that differs."""

    port_file: Path | None = None


def serve(folder: Folder, settings: Settings, passphrase: bytes, listening: Listening) -> None:
    """Serve the Director until SIGTERM or SIGINT.

    Raises:
        StorageFailure: it is being served already, or something of it cannot be read.
        Rejected, Malformed, Declined: what is stored does not hold, or a key is missing.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with alone(folder.state / "lock", folder.path):
        database = Database(folder.database, Oer(), Sha2())
        images = ImageRepository(settings.image_address, tls.read_public(folder.image / "ca.pem"))
        try:
            ring = KeyRing(folder.online, passphrase)
            keeper = Keeper(database, images, ring, Terms(settings.lifetime_s, settings.poll_s))
            with _open(folder, settings, keeper, passphrase=passphrase, ring=ring, listening=listening):
                ear = Thread(target=keeper.listen, args=(stop,), name="image repository", daemon=True)
                ear.start()
                stop.wait()
        finally:
            images.close()
            database.close()


@contextmanager
def alone(lock_file: Path, what: Path) -> Iterator[None]:
    """Hold a folder's lock: two servers over one folder would work against each other.

    Raises:
        StorageFailure: somebody else holds it, or there is no such folder.
    """
    try:
        with lock_file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise StorageFailure(f"{what} is being served already") from None
    except FileNotFoundError:
        raise StorageFailure(f"{what} is no folder to serve from: make one with `init`") from None


def grpc_server(*services: str) -> grpc.Server:
    """A server with health and reflection for these services; a caller too many is told so at once."""
    server = grpc.server(ThreadPoolExecutor(CALLS_MAX), options=OPTIONS, maximum_concurrent_rpcs=CALLS_MAX)
    watcher = health.HealthServicer()
    for name in ("", *services):
        watcher.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(watcher, server)
    reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server


def bind(server: grpc.Server, host: str, port: int, credentials: grpc.ServerCredentials) -> int:
    """Listen; return the port, which is another one for 0.

    Raises:
        StorageFailure: that is not possible.
    """
    try:
        bound = server.add_secure_port(f"{host}:{port}", credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        raise StorageFailure(f"{host}:{port} cannot be listened on: is it in use?")
    return bound


def announce(path: Path, text: str) -> None:
    """Write a small file whole, in place of an older one.

    Raises:
        StorageFailure: it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(f"{text}\n")
        fresh.replace(path)
    except OSError as error:
        raise StorageFailure(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _open(
    folder: Folder, settings: Settings, keeper: Keeper, *, passphrase: bytes, ring: KeyRing, listening: Listening
) -> Iterator[None]:
    """The port is open, and said so, until the end of the block."""
    own = tls.load_credential(folder.tls / "server.pem", folder.tls / "server.key", passphrase)
    authority = tls.Authority.load(folder.tls / "ca.pem", folder.tls / "ca.key", passphrase)
    names = [pb.DESCRIPTOR.services_by_name[service].full_name for service in ("Vehicle", "Operator")]
    server = grpc_server(*names)
    port = bind(server, settings.host, settings.port, tls.server_credentials(own, authority.certificate))
    here = f"{settings.host}:{port}"
    office = Office(
        director_address=settings.address or here,
        time_address=settings.time_address,
        image_address=settings.image_address,
        authority=authority,
        image_authority=tls.read_public(folder.image / "ca.pem"),
        ring=ring,
    )
    rpc.add_VehicleServicer_to_server(VehicleDoor(keeper), server)
    rpc.add_OperatorServicer_to_server(OperatorDoor(keeper, office), server)
    server.start()
    make_private(folder.run)
    announce(folder.run / "address", here)
    if listening.port_file is not None:
        announce(listening.port_file, str(port))
    sys.stdout.write(f"marque-director: serving {here}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        (folder.run / "address").unlink(missing_ok=True)
        server.stop(STOP_GRACE_S).wait()
