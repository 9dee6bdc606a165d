"""What a server process of ours has in common with the other: alone in its folder, one port, health, limits."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from uptane.errors import StorageFailure
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


def told_to_stop() -> Event:
    """An event that SIGTERM and SIGINT set."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


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
