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

from uptane.errors import StorageFailure
from uptane.shell import grpc_limits
from uptane.shell.grpc_limits import CallerLimit

CALLS_MAX = 64  # served at once, each on a thread; whoever comes then is told to come again
CALLS_PER_CALLER_MAX = 8  # a vehicle makes one at a time, an operator's scripts a few; others may share an address
STOP_GRACE_S = 1.0  # seconds for calls under way when the process is told to end


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
    """A server with health for these services; a caller too many is told so at once."""
    server = grpc.server(
        ThreadPoolExecutor(CALLS_MAX),
        interceptors=[CallerLimit(CALLS_PER_CALLER_MAX)],
        options=grpc_limits.options(),
        maximum_concurrent_rpcs=CALLS_MAX,
    )
    watcher = health.HealthServicer()
    for name in ("", *services):
        watcher.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(watcher, server)
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
