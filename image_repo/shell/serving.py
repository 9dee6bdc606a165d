"""The server process: two ports, renewal of Snapshot and Timestamp, and a clean end."""

from __future__ import annotations

import fcntl
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from image_repo.publish import ClockBehind
from image_repo.shell.api import Publishing, Reading
from image_repo.shell.blobs import Blobs
from image_repo.shell.database import Database
from image_repo.shell.folder import Folder, KeyRing, make_private, write_whole
from image_repo.shell.founding import blob_folder, database_file
from image_repo.shell.keeper import Keeper
from uptane.errors import Rejected, StorageFailure
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.rpc.gen import image_repo_pb2_grpc as rpc
from uptane.shell import grpc_limits, tls
from uptane.shell.grpc_limits import CallerLimit
from uptane.shell.log_stream import log_stream

READERS_MAX = 64  # vehicles served at once: each holds a thread while it downloads; others are told to come again
READS_PER_CALLER_MAX = 8  # one address may be a workshop's; the ninth vehicle comes again, and seven more addresses do
PUBLISHERS_MAX = 8
PUBLISHES_PER_CALLER_MAX = 6  # several scripts may use an operator's certificate, and two places stay for others
RENEWAL_PAUSE_S_MAX = 60  # seconds between two looks at what is due: a machine that was suspended notices soon
STOP_GRACE_S = 1.0  # seconds for calls under way when the process is told to end

_LOG = structlog.get_logger("marque.image")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen (0: any free port) and where to write what was got."""

    host: str
    public: int
    operator: int
    public_file: Path | None = None
    operator_file: Path | None = None


def serve(folder: Folder, passphrase: bytes, ports: Ports) -> None:
    """Serve the repository until SIGTERM or SIGINT.

    Raises:
        StorageFailure: it is being served already, or something of it cannot be read.
        Rejected, Malformed: what is stored does not hold.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log_stream(sys.stderr)))
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = folder.settings()
    with _alone(folder):
        database = Database(database_file(folder))
        try:
            keys = KeyRing(folder.online, passphrase)
            keeper = Keeper(database, Blobs(blob_folder(folder)), keys, settings.terms)
            _renew(keeper)
            with _listening(folder, keeper, passphrase, ports):
                _keep_fresh(keeper, stop, max(1, min(settings.terms.timestamp_s // 4, RENEWAL_PAUSE_S_MAX)))
        finally:
            database.close()


@contextmanager
def _alone(folder: Folder) -> Iterator[None]:
    """Hold the folder's lock: two servers over one folder would renew against each other."""
    try:
        with (folder.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise StorageFailure(f"{folder.path} is being served already") from None
    except FileNotFoundError:
        raise StorageFailure(f"{folder.path} is no repository: make one with `marque-repo init`") from None


@contextmanager
def _listening(folder: Folder, keeper: Keeper, passphrase: bytes, ports: Ports) -> Iterator[None]:
    """Both ports are open, and said so, until the end of the block."""
    own = tls.load_credential(folder.tls / "server.pem", folder.tls / "server.key", passphrase)
    authority = tls.read_public(folder.tls / "ca.pem")
    readers, _ = _server(READERS_MAX, READS_PER_CALLER_MAX, "ImageRepository")
    rpc.add_ImageRepositoryServicer_to_server(Reading(keeper), readers)
    publishers, names = _server(PUBLISHERS_MAX, PUBLISHES_PER_CALLER_MAX, "ImageRepository", "Publisher")
    # For operators alone: it holds a thread as long as whoever asks keeps it open.
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), publishers)
    rpc.add_ImageRepositoryServicer_to_server(Reading(keeper), publishers)
    rpc.add_PublisherServicer_to_server(Publishing(keeper, folder.revoked), publishers)
    public = _bind(readers, ports.host, ports.public, tls.server_credentials(own))
    operator = _bind(publishers, ports.host, ports.operator, tls.server_credentials(own, authority))
    servers = (readers, publishers)
    for server in servers:
        server.start()
    files = _announce(folder, ports, public, operator)
    if folder.settings().port == 0:
        write_whole(folder.public / "address", f"{ports.host}:{public}\n".encode())  # nobody could know it before
    sys.stdout.write(f"marque-repo: serving {ports.host}:{public}, operators {ports.host}:{operator}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)
        for ended in [server.stop(STOP_GRACE_S) for server in servers]:
            ended.wait()


def _server(calls_max: int, per_caller: int, *services: str) -> tuple[grpc.Server, list[str]]:
    """A server with health, and its services' full names; a caller too many is told so at once."""
    server = grpc.server(
        ThreadPoolExecutor(calls_max + 2),
        interceptors=[CallerLimit(per_caller)],
        options=grpc_limits.options(),
        maximum_concurrent_rpcs=calls_max,
    )
    names = [pb.DESCRIPTOR.services_by_name[service].full_name for service in services]
    watcher = health.HealthServicer()
    for name in ("", *names):
        watcher.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(watcher, server)
    return server, names


def _bind(server: grpc.Server, host: str, port: int, credentials: grpc.ServerCredentials) -> int:
    try:
        bound = server.add_secure_port(f"{host}:{port}", credentials)
    except RuntimeError:
        bound = 0
    if not bound:
        raise StorageFailure(f"{host}:{port} cannot be listened on: is it in use?")
    return bound


def _announce(folder: Folder, ports: Ports, public: int, operator: int) -> list[Path]:
    """Write where we listen, each file whole; return those to remove at the end."""
    make_private(folder.run)
    running = [(folder.run / "public", f"{ports.host}:{public}"), (folder.run / "operator", f"{ports.host}:{operator}")]
    asked = [(ports.public_file, str(public)), (ports.operator_file, str(operator))]
    for path, text in (*running, *((path, text) for path, text in asked if path is not None)):
        write_whole(path, f"{text}\n".encode())
    return [path for path, _text in running]


def _keep_fresh(keeper: Keeper, stop: Event, pause_s_max: int) -> None:
    """Renew what is due, until told to stop; a failure is tried again, ever more slowly.

    A publication may bring the next renewal forward, so no pause is longer than a part of what it gives.
    """
    pause_s = 1
    while not stop.wait(pause_s):
        failed = not _renew(keeper)
        pause_s = min(2 * pause_s if failed else max(1, keeper.renewal_in_s()), pause_s_max)


def _renew(keeper: Keeper) -> bool:
    """Renew what is due; whether that went well."""
    try:
        publication = keeper.renew()
    except (Rejected, ClockBehind, StorageFailure) as failure:
        _LOG.error("renewal failed", detail=str(failure))
        return False
    if publication is not None:
        _LOG.info("renewed", files=[file.name for file in publication.files])
    return True
