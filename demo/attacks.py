"""Attacks to replay: what somebody on the bus, in the network or in the storage tries, with real means.

Each names the check that has to refuse it and whose report tells the Director. What an attacker needs is really had:
metadata of another vehicle, an attestation the time service gives to anyone, keys of his own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import grpc

from demo import world as setting
from demo.images import BODY, BRAKE, CAMERA, TELEMATICS, EcuOfDemo
from demo.processes import DemoFailure
from demo.tester import Tester, plugged_in
from demo.world import World
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer
from uptane.errors import Check
from uptane.model.ids import Bundle, VehicleId
from uptane.model.metadata import LEVEL
from uptane.model.reports import Phase, VehicleOrder
from uptane.model.signed import Envelope, Signature
from uptane.rpc.gen import time_pb2, time_pb2_grpc

ROOT, TARGETS, ATTESTATION, ORDER, IMAGE = 0xF0, 0xF3, 0xFA, 0xFB, 0x00  # docs/wire.md, "Objects"
PROGRAMMING, EXTENDED = 2, 3
ERASE = 0xFF00
OTHER_VEHICLE = "OTHER000000000002"
CALL_SECONDS_MAX = 10.0


class When(Enum):
    """When an attack is played."""

    BEFORE = "before the update"
    DURING = "when the update is published, before it is assigned"
    AFTER = "after the update"


@dataclass(frozen=True)
class Scene:
    """Where an attack takes place, and how it tells its story."""

    world: World
    say: Callable[[str], None]


@dataclass(frozen=True)
class Attack:
    """One attack: what is tried, who has to refuse it by which check, and how to undo what was done to the world."""

    text: str
    by: EcuOfDemo
    check: Check
    play: Callable[[Scene], None]
    when: When = When.BEFORE
    mend: Callable[[Scene], None] = lambda scene: scene.say("the attacker leaves")


def object_address(first: int) -> int:
    """The memoryAddress of an object in RAM."""
    return first << 24


def _on_the_bus(scene: Scene, ecu: EcuOfDemo, act: Callable[[Tester], int | None], check: Check) -> None:
    """Plug a tester in, do `act`, and see that the ECU refuses it by `check`."""
    with plugged_in(scene.world.buses[ecu.bus], ecu.address) as tester:
        nrc = act(tester)
        if nrc is None:
            raise DemoFailure(f"{ecu.name} obeyed the attacker")
        found = tester.refusal()
        tester.session(1)
    named = "no check" if found is None else found.name
    scene.say(f"{ecu.name} answers with NRC {nrc:02X} and names {named}")
    if found is not check:
        raise DemoFailure(f"{check.name} was to refuse this, not {named}")


def _deliver(first: int, octets: bytes) -> Callable[[Tester], int | None]:
    def act(tester: Tester) -> int | None:
        nrc = tester.session(EXTENDED)
        return nrc if nrc is not None else tester.deliver(object_address(first), octets, first)

    return act


def _forged(octets: bytes) -> bytes:
    """The same payload under a signature of the attacker's own key, with the id of the real one."""
    codec = Oer()
    envelope = codec.open(octets, len(octets))
    return _sealed(codec, envelope.payload, envelope)


def _sealed(codec: Oer, payload: bytes, like: Envelope | None = None) -> bytes:
    signer = Ed25519Signer.generate()
    key_id = signer.key_id if like is None else like.signatures[0].key_id
    return codec.seal(payload, [Signature(key_id, signer.sign(codec.message(payload)))]).octets


def _provisioned(world: World, ecu: EcuOfDemo) -> bytes:
    return (world.ecu(ecu) / "initial" / "director" / "targets").read_bytes()


# -------------------------------------------------------------------------------------------------------- attacks


def _foreign_targets(scene: Scene) -> None:
    world = scene.world
    scene.say(f"the owner of {OTHER_VEHICLE} hands its genuine Director Targets to {BRAKE.name} of {setting.VEHICLE}")
    setting.enrol_other(world, OTHER_VEHICLE)
    octets = (world.folder / OTHER_VEHICLE / BRAKE.name / "initial" / "director" / "targets").read_bytes()
    _on_the_bus(scene, BRAKE, _deliver(TARGETS, octets), Check.SPEAKER)


def _forged_targets(scene: Scene) -> None:
    scene.say(f"somebody on the bus signs Director Targets for {BRAKE.name} with a key of his own")
    octets = _forged(_provisioned(scene.world, BRAKE))
    _on_the_bus(scene, BRAKE, _deliver(TARGETS, octets), Check.TARGETS_SIGNATURES)


def _old_targets(scene: Scene) -> None:
    scene.say(f"the Targets that {BRAKE.name} left the factory with are replayed after the update")
    _on_the_bus(scene, BRAKE, _deliver(TARGETS, _provisioned(scene.world, BRAKE)), Check.TARGETS_VERSION)


def _truncated_targets(scene: Scene) -> None:
    scene.say(f"{BODY.name} is given Director Targets whose last octet is missing")
    _on_the_bus(scene, BODY, _deliver(TARGETS, _provisioned(scene.world, BODY)[:-1]), Check.ENCODING)


def _forged_order(scene: Scene) -> None:
    scene.say(f"somebody on the bus orders {BODY.name} to activate, with a key of his own")
    order = VehicleOrder(LEVEL, VehicleId(setting.VEHICLE), Bundle(bytes(32)), 1, Phase.ACTIVATE)
    codec = Oer()
    octets = _sealed(codec, codec.encode(order))
    _on_the_bus(scene, BODY, _deliver(ORDER, octets), Check.ORDER_SIGNATURE)


def _borrowed_time(scene: Scene) -> None:
    world = scene.world
    scene.say(f"anyone may ask the time service; its answer to a nonce of the attacker's is given to {BODY.name}")
    authority = (world.ecu(TELEMATICS) / "tls" / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    with grpc.secure_channel(f"127.0.0.1:{world.ports['time']}", credentials) as channel:
        request = time_pb2.AttestRequest(nonces=[bytes(range(16))])
        answer = time_pb2_grpc.TimeStub(channel).Attest(request, timeout=CALL_SECONDS_MAX)
    _on_the_bus(scene, BODY, _deliver(ATTESTATION, answer.attestations[0]), Check.TIME_NONCE)


def _moving_vehicle(scene: Scene) -> None:
    scene.say(f"the vehicle moves, and a tester wants {BRAKE.name} in its programming session")
    (scene.world.ecu(BRAKE) / "interlock").write_text("moving\n")
    _on_the_bus(scene, BRAKE, lambda tester: tester.session(PROGRAMMING), Check.LINK_INTERLOCK)


def _stand_still(scene: Scene) -> None:
    scene.say("the vehicle stands still again")
    (scene.world.ecu(BRAKE) / "interlock").write_text(setting.SAFE)


def _unassigned_image(scene: Scene) -> None:
    scene.say(f"a workshop tester flashes {BRAKE.name} although nobody assigned anything new to it")

    def act(tester: Tester) -> int | None:
        nrc = tester.session(PROGRAMMING)
        return nrc if nrc is not None else tester.routine(ERASE)

    _on_the_bus(scene, BRAKE, act, Check.INSTALL_STATE)


def _swapped_image(scene: Scene) -> None:
    scene.say(f"whoever has the Image repository's storage swaps the new image of {CAMERA.name}")
    blob = setting.blob(scene.world, CAMERA, 2)
    octets = bytearray(blob.read_bytes())
    octets[len(octets) // 2] ^= 1
    blob.write_bytes(octets)


def _swap_back(scene: Scene) -> None:
    scene.say("the Image repository's storage is restored from a backup")
    blob = setting.blob(scene.world, CAMERA, 2)
    octets = bytearray(blob.read_bytes())
    octets[len(octets) // 2] ^= 1
    blob.write_bytes(octets)


ATTACKS: dict[str, Attack] = {
    "foreign-targets": Attack("another vehicle's genuine Targets", BRAKE, Check.SPEAKER, _foreign_targets),
    "forged-targets": Attack("Targets signed with a foreign key", BRAKE, Check.TARGETS_SIGNATURES, _forged_targets),
    "old-targets": Attack("older Targets replayed", BRAKE, Check.TARGETS_VERSION, _old_targets, When.AFTER),
    "truncated-targets": Attack("Targets cut short", BODY, Check.ENCODING, _truncated_targets),
    "forged-order": Attack("an order nobody gave", BODY, Check.ORDER_SIGNATURE, _forged_order),
    "borrowed-time": Attack("a genuine time for another nonce", BODY, Check.TIME_NONCE, _borrowed_time),
    "moving-vehicle": Attack(
        "programming while the vehicle moves", BRAKE, Check.LINK_INTERLOCK, _moving_vehicle, mend=_stand_still
    ),
    "unassigned-image": Attack("flashing what nobody assigned", BRAKE, Check.INSTALL_STATE, _unassigned_image),
    "swapped-image": Attack(
        "another image under the same name", TELEMATICS, Check.INSTALL_HASH, _swapped_image, When.DURING, _swap_back
    ),
}
