"""`marque-primary doctor`: everything a Primary needs of its board, its servers and its Secondaries, looked at once.

Nothing is changed. The buses are looked at from outside, as the running Primary has them; what Secondaries say is taken
from the record.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from primary.needs import Reason
from primary.shell.config import Config, Server
from primary.shell.gate_file import read_gate
from primary.shell.installing import look_at_installer
from primary.shell.probe import greeted
from primary.shell.seen import seen
from primary.shell.status import described
from uptane.errors import MarqueError, StorageFailure
from uptane.moments import UtcTime
from uptane.shell import checkup
from uptane.shell.checkup import Finding, bad, doubt, good
from uptane.shell.files import Store
from uptane.shell.tls_client import read_private, read_public

PACKAGE: Final = "marque-primary"
UNIT: Final = "marque-primary.service"
EXPIRES_SOON_S: Final = 60 * 86_400
RECORDS_LENGTH: Final = 16 * 1024 * 1024  # octets: state of a large vehicle, twice
SYSTEMD: Final = Path("/run/systemd/system")
_WORDS: Final = {
    Reason.DOWN: ("cannot be reached", "is the network up, the address right, the server running?"),
    Reason.UNTRUSTED: (
        "shows a certificate we do not trust",
        "is the clock right? else [tls] authority is another's, or server_name is missing",
    ),
    Reason.FORBIDDEN: (
        "refuses this vehicle's certificate",
        "was it revoked, or has it expired? `marque-director provision VEHICLE --renew --request FILE`",
    ),
}


def examine(config: Config) -> Iterator[Finding]:
    """Every finding, the board's first."""
    yield from checkup.look_at_package(PACKAGE)
    yield from _service()
    kernel = checkup.kernel_has_can()
    for name, bus in config.buses.items():
        if bus.interface == "socketcan":
            yield from checkup.look_at_can(bus, checkup.can_facts(bus.channel), kernel=kernel)
        else:
            yield good(f"bus {name}", f"{bus.interface} {bus.channel}: no doctor looks at it, only at SocketCAN")
    now, least = UtcTime(int(time.time())), seen(config)
    yield checkup.look_at_clock(now, least, matters=True)
    yield from _disk(config)
    yield from checkup.look_at_own_key(config.key, config.token)
    yield from look_at_certificate(config, UtcTime(max(now, least)))
    yield from _servers(config)
    yield from _gate(config)
    yield from look_at_installer(config.installer, config.slots)
    yield from _secondaries(config)


def _service() -> Iterator[Finding]:
    if not SYSTEMD.is_dir() or (program := shutil.which("systemctl")) is None:
        return
    ran = subprocess.run([program, "is-active", UNIT], check=False, capture_output=True, text=True)  # noqa: S603 (systemd's)
    state = ran.stdout.strip()
    if state == "active":
        yield good("service", f"{UNIT} is active")
    else:
        yield bad("service", f"{UNIT} is {state or 'unknown'}", f"journalctl -u {UNIT}; systemctl enable --now {UNIT}")


def _disk(config: Config) -> Iterator[Finding]:
    slots = config.slots
    yield from checkup.look_at_folder("disk, state", config.state, RECORDS_LENGTH, "records")
    there = sum(path.stat().st_size for path in slots.glob("*")) if slots.is_dir() else 0
    need = max(0, 2 * config.layout.slot_size - there)
    yield from checkup.look_at_folder("disk, slots", slots, need, "two slots")
    yield from checkup.look_at_folder("disk, cache", config.cache, config.layout.slot_size, "one download of its own")


def look_at_certificate(config: Config, utc: UtcTime) -> Iterator[Finding]:
    """The vehicle's certificate: its time, and whether it is for our key."""
    renew = "`marque-primary enrol` tells where the request is; then `marque-director provision VEHICLE --request FILE`"
    about = "certificate"
    try:
        certificate = x509.load_pem_x509_certificate(read_public(config.certificate))
        key = load_pem_private_key(read_private(config.certificate_key), None).public_key()
    except MarqueError as error:
        yield bad(about, str(error), renew)
        return
    except ValueError:
        yield bad(about, f"{config.certificate} or {config.certificate_key} is damaged", renew)
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    first, last = (
        int(moment.timestamp()) for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    if certificate.public_key().public_bytes(*form) != key.public_bytes(*form):
        yield bad(about, f"{config.certificate} is not for {config.certificate_key}", renew)
    elif utc > last:
        yield bad(about, f"{config.certificate} expired on {until}", renew)
    elif utc < first:
        yield bad(about, f"{config.certificate} is not valid yet", "the clock is wrong: see clock above")
    elif utc > last - EXPIRES_SOON_S:
        yield doubt(about, f"{config.certificate} expires on {until}", renew)
    else:
        yield good(about, f"valid until {until}")


def _servers(config: Config) -> Iterator[Finding]:
    own = (config.certificate, config.certificate_key)
    servers: tuple[tuple[str, Server, tuple[Path, Path] | None], ...] = (
        ("Director", config.director, own),
        ("time service", config.time, None),
        ("Image repository", config.image, None),
    )
    for name, server, shown in servers:
        reason = greeted(server, shown)
        if reason is None:
            yield good(name, f"{server.address} answers")
        else:
            text, remedy = _WORDS.get(reason, ("does not answer as it should", "is it another server's address?"))
            yield bad(name, f"{server.address} {text}", remedy)


def _gate(config: Config) -> Iterator[Finding]:
    gate = config.gate
    if gate.file is None:
        yield doubt(
            "gate", "nobody says when the vehicle may be changed: no update is ever activated", "[gate] in the settings"
        )
    elif not gate.file.exists():
        yield doubt(
            "gate", f"{gate.file} is not there: shut", "whoever knows whether the vehicle is parked has to write it"
        )
    else:
        parked = read_gate(gate.file, gate.draw_w).parked
        yield good("gate", f"{gate.file} says that the vehicle is {'parked' if parked else 'not parked'}")


def _secondaries(config: Config) -> Iterator[Finding]:
    """What each of them said last; a Primary that has never run has heard nobody."""
    if not config.state.is_dir():
        yield doubt("Secondaries", "this Primary has never run, and heard nobody", f"systemctl start {UNIT}")
        return
    try:
        facts = described(config, Store(config.state))
    except StorageFailure as error:
        yield bad("records", str(error), "the disk is failing; the ECU has to be provisioned anew on another")
        return
    for name in facts["damaged"]:
        yield doubt("records", f"{name}: its newest copy is damaged, the one before is used", "is the disk worn out?")
    places = {each.ecu: f"bus {each.bus}, address 0x{each.address:02X}" for each in config.layout.secondaries}
    for ecu in facts["ecus"]:
        about = f"Secondary {ecu['ecu']}"
        if ecu["ecu"] not in places:
            continue
        remedy = f"is it powered, and {places[ecu['ecu']]} right? `marque-secondary doctor` there says more"
        if ecu["silent_since"]:
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ecu["silent_since"]))
            yield bad(about, f"silent since {since}", remedy)
        elif ecu["state"] is None:
            yield bad(about, "never heard", remedy)
        else:
            yield good(about, f"{ecu['state']}, {ecu['image']}")
