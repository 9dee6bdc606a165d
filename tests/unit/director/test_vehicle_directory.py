"""What provisioning writes for a Primary: by which key each of its Secondaries reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from director.shell.messages import key_message
from director.shell.vehicle_directory import Addresses, write
from primary.shell.config import load
from uptane.crypto import Ed25519Signer, P256Signer
from uptane.errors import StorageFailure
from uptane.model.signed import PublicKey
from uptane.rpc.gen import director_pb2 as pb

DESCRIPTION = """
vehicle = "VIN1"
[[bus]]
name = "chassis"
interface = "udp_multicast"
channel = "239.1.2.3"
[[ecu]]
id = "gw"
[[ecu]]
id = "brake"
[[ecu]]
id = "door"
"""
BRAKE = Ed25519Signer.from_seed(b"b" * 32).public
DOOR = P256Signer.from_seed(b"d" * 32).public
NEW = Ed25519Signer.from_seed(b"n" * 32).public


def vehicle(brake: PublicKey | None) -> pb.Provisioned:
    image = pb.InstalledImage(filename="oem/1", length=1, sha256=bytes(32), release_counter=1)
    keys = {"gw": Ed25519Signer.from_seed(b"g" * 32).public, "brake": brake, "door": DOOR}
    ecus = [
        pb.Ecu(
            id=ecu,
            hardware=f"{ecu}-hw",
            primary=ecu == "gw",
            verification="full" if ecu == "gw" else "partial",
            bus="" if ecu == "gw" else "chassis",
            address=place,
            filename="**",
            slot_size=100,
            public_key=key_message(key),
            image=image,
        )
        for place, (ecu, key) in enumerate(keys.items())
    ]
    servers = "server.example:443"
    return pb.Provisioned(
        description=DESCRIPTION, ecus=ecus, director_address=servers, time_address=servers, image_address=servers
    )


def written(out: Path, brake: PublicKey | None) -> list[PublicKey]:
    write(out, vehicle(brake), {}, base=out, to=Addresses())
    return [each.key for each in load(out / "gw" / "config.toml").layout.secondaries]


def test_the_primary_is_given_the_key_of_each_secondary(tmp_path: Path) -> None:
    assert written(tmp_path, BRAKE) == [BRAKE, DOOR]


def test_after_an_exchange_it_is_given_the_new_one(tmp_path: Path) -> None:
    written(tmp_path, BRAKE)
    assert written(tmp_path, NEW) == [NEW, DOOR]


def test_an_ecu_without_a_key_is_not_provisioned(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="brake has no key on file"):
        written(tmp_path, None)
    assert not (tmp_path / "gw" / "config.toml").exists()
