"""What a vehicle starts from: one folder per ECU with its settings, its key and its first metadata.

Private keys are made here and never leave; the Director gets their public halves. A board that made its own brings
them: nothing private is written for it then. Running it again over the same folder
goes on where it was broken off: keys that are there are used, everything else is written anew, each file whole.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from director.inventory import Verification
from director.provision import PARTIAL
from director.shell.messages import key_of
from director.shell.toml_text import toml_text
from director.shell.vehicle_file import KNOWN, tables
from uptane.errors import StorageFailure
from uptane.model.ids import EcuId
from uptane.model.signed import PublicKey
from uptane.rpc.gen import director_pb2 as pb
from uptane.shell import keys, tls
from uptane.shell.files import sync
from uptane.shell.key_text import as_text


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the vehicle finds its servers; empty for what the Director says."""

    director: str = ""
    time: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made for provisioning: public keys to be handed in, and a request for a certificate."""

    keys: Mapping[EcuId, PublicKey]
    request: bytes


@dataclass(frozen=True, slots=True)
class Brought:
    """What boards made themselves: public keys of ECUs, and the request for a certificate of the Primary's TLS key."""

    keys: Mapping[EcuId, PublicKey] = field(default_factory=dict)
    request: bytes | None = None


def make_keys(out: Path, vehicle: pb.Provisioned, exchanged: Sequence[EcuId], brought: Brought) -> Made:
    """Make what is missing of private keys below `out`: for ECUs without a key on file, and for those exchanged.

    Nothing is made in place of what was `brought`.

    Raises:
        StorageFailure: a key cannot be written, or a file that is there is none.
    """
    made: dict[EcuId, PublicKey] = {}
    tls_key = b""
    for ecu in vehicle.ecus:
        name, folder = EcuId(ecu.id), out / ecu.id
        if name in brought.keys:
            made[name] = brought.keys[name]
        elif (key := _key_below(folder, ecu, exchanged=name in exchanged)) is not None:
            made[name] = key
        if ecu.primary and brought.request is None:
            tls_key = _tls_key(folder / "tls")
    return Made(made, brought.request or tls.request_for(tls_key))


def _key_below(folder: Path, ecu: pb.Ecu, *, exchanged: bool) -> PublicKey | None:
    """The public half of an ECU's key below its folder, made if it is missing; None if the ECU keeps one elsewhere."""
    file = folder / "keys" / "ecu.pem"
    on_file = ecu.public_key.octets if ecu.HasField("public_key") else None
    if exchanged and file.exists() and keys.load(file, None).public.octets == on_file:
        file.replace(file.with_suffix(".pem.before"))
    if file.exists():
        return keys.load(file, None).public
    if on_file is not None and not exchanged:
        return None
    _make_private(file.parent)
    return keys.create(file, None).public


def write(out: Path, provisioned: pb.Provisioned, files: Mapping[str, bytes], *, base: Path, to: Addresses) -> None:
    """Write everything but keys below `out`. `base` is the folder that files named in the description are in.

    Raises:
        StorageFailure: something cannot be written, or an ECU has no factory image or no key on file.
    """
    buses, described = tables(provisioned.description)
    for ecu in provisioned.ecus:
        folder, own = out / ecu.id, described.get(ecu.id, {})
        full = ecu.verification == Verification.FULL.value
        for name, octets in files.items():
            if full or name in PARTIAL:
                _write(folder / "initial" / name, octets)
        _write(folder / "initial" / "time", f"{provisioned.time}\n".encode())
        _factory_image(folder / "initial" / "image.bin", own, base)
        settings = _settings_of_all(provisioned, ecu) | (
            _primary(provisioned, buses, described, to=to) if ecu.primary else _secondary(ecu, buses)
        )
        settings |= {key: value for key, value in own.items() if key not in KNOWN}
        _write(folder / "config.toml", toml_text(settings, f"ECU {ecu.id} of {_vehicle_id(provisioned)}").encode())
        if full:
            _write(folder / "mapping.toml", toml_text(MAPPING, MAPPING_COMMENT).encode())
        if ecu.primary:
            _write(folder / "tls" / "ca.pem", provisioned.ca)
            _write(folder / "tls" / "cert.pem", provisioned.certificate)
            _write(folder / "tls" / "image-ca.pem", provisioned.image_ca)


_Tables: TypeAlias = Mapping[str, Mapping[str, Any]]
MAPPING_COMMENT = "Which repositories must vouch for which images (Uptane 2.1.0, section 5.2.6)."
MAPPING = {"mapping": [{"paths": ["**"], "repositories": ["director", "image"]}]}


def _vehicle_id(provisioned: pb.Provisioned) -> str:
    return str(tomllib.loads(provisioned.description)["vehicle"])


def _settings_of_all(provisioned: pb.Provisioned, ecu: pb.Ecu) -> dict[str, Any]:
    """What every ECU's config.toml says."""
    if not ecu.HasField("image"):
        raise StorageFailure(f"{ecu.id} was enrolled without its factory image: it would not know what it runs")
    image = ecu.image
    return {
        "vehicle": _vehicle_id(provisioned),
        "ecu": ecu.id,
        "hardware": ecu.hardware,
        "public_key": _public_key(ecu),
        "filename": ecu.filename,
        "slot_size": ecu.slot_size,
        "image": {
            "filename": image.filename,
            "length": image.length,
            "sha256": image.sha256.hex(),
            "release_counter": image.release_counter,
        },
    }


def _secondary(ecu: pb.Ecu, buses: _Tables) -> dict[str, Any]:
    bus = buses.get(ecu.bus, {})
    can = {key: value for key, value in bus.items() if key != "name"}
    return {"verification": ecu.verification, "address": ecu.address, "can": can}


def _primary(provisioned: pb.Provisioned, buses: _Tables, described: _Tables, *, to: Addresses) -> dict[str, Any]:
    others = [ecu for ecu in provisioned.ecus if not ecu.primary]
    return {
        "director": {"address": to.director or provisioned.director_address},
        "time": {"address": to.time or provisioned.time_address},
        "image_repository": {"address": to.image or provisioned.image_address},
        "bus": [dict(bus) for name, bus in buses.items() if any(ecu.bus == name for ecu in others)],
        "secondary": [
            {
                "ecu": ecu.id,
                "hardware": ecu.hardware,
                "verification": ecu.verification,
                "bus": ecu.bus,
                "address": ecu.address,
                "slots": described.get(ecu.id, {}).get("slots"),
                "public_key": _public_key(ecu),
            }
            for ecu in others
        ],
    }


def _public_key(ecu: pb.Ecu) -> str:
    """By which the Primary knows that a report is by that ECU, and enrolment the board that a folder is for."""
    if not ecu.HasField("public_key"):
        raise StorageFailure(f"{ecu.id} has no key on file: nobody could tell its reports from others'")
    return as_text(key_of(ecu.public_key))


def _factory_image(target: Path, described: Mapping[str, Any], base: Path) -> None:
    """Copy the factory image, where the description names its file and it is at hand."""
    image = described.get("image", {})
    source = base / image["file"] if isinstance(image, Mapping) and "file" in image else None
    if source is None or not source.is_file():
        return
    try:
        _write(target, source.read_bytes())
    except OSError as error:
        raise StorageFailure(f"{source} cannot be read: {error.strerror}") from error


def _tls_key(folder: Path) -> bytes:
    """The vehicle's TLS key, made if it is not there."""
    file = folder / "key.pem"
    _make_private(folder)
    if not file.exists():
        tls.write_private(file, tls.new_key())
    return tls.read_private(file)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StorageFailure(f"{folder} cannot be made: {error.strerror}") from error


def _write(path: Path, octets: bytes) -> None:
    """Write a file whole, in place of an older one."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StorageFailure(f"{path} cannot be written: {error.strerror}") from error
