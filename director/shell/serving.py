"""The server process: one port for vehicles and operators, the Image repository heard in between, and a clean end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import structlog

from director.shell.catalogue_client import ImageRepository
from director.shell.database import Database
from director.shell.folder import Folder, KeyRing, Settings, make_private
from director.shell.hosting import STOP_GRACE_S, alone, announce, bind, grpc_server, told_to_stop
from director.shell.keeper import Keeper, Terms
from director.shell.operator_api import Office, OperatorDoor
from director.shell.vehicle_api import VehicleDoor
from uptane.codec.oer import Oer
from uptane.crypto import Sha2
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.shell import tls
from uptane.shell.log_stream import log_stream


def serve(folder: Folder, settings: Settings, passphrase: bytes, port_file: Path | None) -> None:
    """Serve the Director until SIGTERM or SIGINT; write the port that was got to `port_file`.

    Raises:
        StorageFailure: it is being served already, or something of it cannot be read.
        Rejected, Malformed, Declined: what is stored does not hold, or a key is missing.
        ClockWrong: this machine's clock is.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log_stream(sys.stderr)))
    stop = told_to_stop()
    if port_file is not None:
        port_file.unlink(missing_ok=True)  # whoever waits for it must not find the port of an earlier run
    with alone(folder.state / "lock", folder.path):
        database = Database(folder.database, Oer(), Sha2())
        images = ImageRepository(settings.image_address, tls.read_public(folder.image / "ca.pem"))
        try:
            ring = KeyRing(folder.online, passphrase)
            keeper = Keeper(database, images, ring, Terms(settings.lifetime_s, settings.poll_s))
            keeper.check_clock()
            with _open(folder, settings, keeper, passphrase=passphrase, ring=ring, port_file=port_file):
                ear = Thread(target=keeper.listen, args=(stop,), name="image repository", daemon=True)
                ear.start()
                stop.wait()
        finally:
            images.close()
            database.close()


@contextmanager
def _open(
    folder: Folder, settings: Settings, keeper: Keeper, *, passphrase: bytes, ring: KeyRing, port_file: Path | None
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
    if port_file is not None:
        announce(port_file, str(port))
    sys.stdout.write(f"marque-director: serving {here}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        (folder.run / "address").unlink(missing_ok=True)
        server.stop(STOP_GRACE_S).wait()
