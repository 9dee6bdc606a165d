"""What an ECU under test starts from: a folder as marque-director writes it, with this bench's Roots.

For a process it is the whole ECU; for a board it is what the board's own tool makes its non-volatile memory from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from rig import images
from rig.backend import Assigned, Backend
from rig.settings import BusSettings, EcuSettings, RigSettings, Verification
from rig.update import full_set
from uptane.errors import StorageFailure
from uptane.link.uds_objects import Object
from uptane.model.ids import Repository
from uptane.model.signed import PublicKey
from uptane.shell import keys
from uptane.shell.key_text import as_text, from_text

FIRST_VERSION = 5  # so that something older can be offered

_NAMES = {
    Object.DIRECTOR_TIMESTAMP: "director/timestamp",
    Object.DIRECTOR_SNAPSHOT: "director/snapshot",
    Object.DIRECTOR_TARGETS: "director/targets",
    Object.IMAGE_TIMESTAMP: "image/timestamp",
    Object.IMAGE_SNAPSHOT: "image/snapshot",
    Object.IMAGE_TARGETS: "image/targets",
}


def report_key_file(settings: RigSettings, ecu: EcuSettings) -> Path:
    """Where provisioning leaves the public key of an ECU."""
    return settings.backend / "ecus" / f"{ecu.ecu.replace('/', '_')}.pub"


def report_key(settings: RigSettings, ecu: EcuSettings) -> PublicKey | None:
    """The key the ECU signs its reports with; None when neither the rig file nor provisioning tells."""
    if ecu.report_key is not None:
        return ecu.report_key
    path = report_key_file(settings, ecu)
    try:
        return from_text(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageFailure(f"{path}: {error}; provision {ecu.ecu} anew, or set its report_key") from error


def provision(settings: RigSettings, ecu: EcuSettings, backend: Backend, folder: Path) -> Path:
    """Write the ECU's folder, which must not exist; return it. Raises StorageFailure."""
    target = folder / ecu.ecu
    try:
        (target / "keys").mkdir(parents=True)
    except FileExistsError:
        raise StorageFailure(f"{target}: exists already; an ECU's key is never overwritten") from None
    octets = images.good(ecu, images.FACTORY_COUNTER)
    factory = images.assigned(ecu, images.FACTORY_COUNTER, octets)
    for name, content in _initial(ecu, backend, factory):
        path = target / "initial" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    public = keys.create(target / "keys" / "ecu.pem", None).public
    bus = next(bus for bus in settings.buses if bus.name == ecu.bus)
    (target / "config.toml").write_text(_config(settings, ecu, bus, factory), encoding="utf-8")
    (target / "interlock").write_text("safe\n", encoding="ascii")
    path = report_key_file(settings, ecu)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_text(public) + "\n", encoding="ascii")
    return target


def _initial(ecu: EcuSettings, backend: Backend, factory: Assigned) -> Iterator[tuple[str, bytes]]:
    yield "director/root", backend.root(Repository.DIRECTOR, backend.latest_root())
    targets = backend.targets([factory.entry], FIRST_VERSION)
    if ecu.verification is Verification.PARTIAL:
        yield "director/targets", targets
    else:
        yield "image/root", backend.root(Repository.IMAGE, backend.latest_root(Repository.IMAGE))
        for place, octets in full_set(backend, factory, targets, FIRST_VERSION).items():
            yield _NAMES[place], octets
    yield "time", f"{backend.utc() - 1}\n".encode()
    yield "image.bin", factory.octets


def _config(settings: RigSettings, ecu: EcuSettings, bus: BusSettings, factory: Assigned) -> str:
    can = bus.can
    options = "".join(f"{key} = {json.dumps(value)}\n" for key, value in can.options.items())
    return f"""vehicle = "{settings.vehicle}"
ecu = "{ecu.ecu}"
hardware = "{ecu.hardware}"
verification = "{ecu.verification.value}"
address = {ecu.address}
filename = "{ecu.images.takes}"
slot_size = {ecu.slot_size}
[can]
interface = "{can.interface}"
channel = "{can.channel}"
fd = {json.dumps(can.fd)}
bitrate = {can.speed.nominal}
data_bitrate = {can.speed.data}
paced = {json.dumps(can.paced)}
[can.options]
{options}[interlock]
kind = "file"
path = "interlock"
[image]
filename = "{factory.image.filename}"
length = {factory.image.length}
sha256 = "{sha256(factory.octets).hexdigest()}"
release_counter = {factory.image.release_counter}
"""
