"""What a strategy works with: the attacker, outside and inside, with the tools that go with where he stands.

Outside he answers in the servers' place or alters what they say. Inside he has testers, puppets and the wire itself.
With an ECU taken over he has its key and speaks with its address, and that ECU does what he wants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from primary.state import INSTALLED
from secondary.needs import Store
from secondary.state import INSTALLATION
from sim.attack.forge import Director, read
from sim.attack.keys import EcuClass, Reach
from sim.attack.outsider import Outsider
from sim.attack.scene import BRAKE, CAMERA, CLASS_OF, ECUS, HEAD
from sim.attack.wire import Puppet, Tester
from sim.power import Powered
from uptane.errors import MarqueError
from uptane.link.can_frame import CanFrame, address_of, can_id_of
from uptane.link.uds_client import check, close_session, erase, open_session, read_nonce, read_status, restart
from uptane.link.uds_objects import CheckOption, Object, Place, Status
from uptane.link.uds_transfer import Blocks, deliver, from_octets, send_image
from uptane.link.uds_values import PRIMARY_ADDRESS, Session
from uptane.machine import Workflow
from uptane.model.ids import EcuId, Filename, Role
from uptane.model.metadata import Root
from uptane.verify import record

ResultT = TypeVar("ResultT")

WORKSHOP: Final = 0xF1
INSIDE: Final = (Reach.IN, Reach.PRIMARY, Reach.FULL, Reach.PARTIAL)
"""Places from which the buses can be reached: whoever has an ECU is on its bus."""

Wire = Callable[[str, CanFrame], CanFrame | None]

_ALIAS: Final = 0x40  # added to an ECU's address: under it a puppet hears what is for the ECU

OBJECTS: Final = {
    Role.TIMESTAMP.value: (Object.DIRECTOR_TIMESTAMP, Object.IMAGE_TIMESTAMP),
    Role.SNAPSHOT.value: (Object.DIRECTOR_SNAPSHOT, Object.IMAGE_SNAPSHOT),
    Role.TARGETS.value: (Object.DIRECTOR_TARGETS, Object.IMAGE_TARGETS),
}


class Attacker(Outsider):
    """One attacker in one scene, wherever he stands; he may use no more than goes with his places."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._testers: dict[int, Tester] = {}
        self._puppets: dict[EcuId, Puppet] = {}
        self._wires: dict[str, list[Wire]] = {}

    # ------------------------------------------------------------------------------------------------------ inside

    def tester(self, own: int = WORKSHOP) -> Tester:
        """A client on all buses, under this source address."""
        self.needs(*INSIDE)
        if own not in self._testers:
            plan, scene = self.scene.car.plan, self.scene
            places = {each.ecu: (each.bus, each.address) for each in plan.secondaries}
            self._testers[own] = Tester(scene.clock, scene.car.buses, places, own=own, step=scene.step)
        return self._testers[own]

    def do(self, work: Workflow[Any, ResultT], own: int = WORKSHOP) -> ResultT | MarqueError:
        """Run a client's workflow; what comes of it is noted."""
        outcome = self.tester(own).do(work)
        if isinstance(outcome, MarqueError):
            self.say(f"{type(outcome).__name__}: {outcome}")
        return outcome

    def puppet(self, ecu: EcuId, answer: Callable[[bytes], bytes | None]) -> None:
        """Answer in the place of a Secondary, which hears nothing any more: what is for it is led to the puppet."""
        self.needs(*INSIDE)
        place = self.scene.car.plan.ecu(ecu)
        puppet = Puppet(self.scene.clock, self.scene.bus_of(ecu), place.address + _ALIAS, answer)
        self._puppets[ecu] = puppet
        name = self.scene.node(ecu).name

        def change(sender: str, frame: CanFrame) -> CanFrame | None:
            found = address_of(frame.can_id)
            if sender == name:
                return None
            if found is None or found.functional:
                return frame
            if found.target == place.address:
                return frame._replace(can_id=can_id_of(found._replace(target=puppet.address)))
            if found.source == puppet.address:
                return frame._replace(can_id=can_id_of(found._replace(source=place.address)))
            return frame

        self.wire(ecu, change)

    def answer_with(self, ecu: EcuId, answer: Callable[[bytes], bytes | None]) -> None:
        """Have the puppet in the place of a Secondary answer otherwise."""
        self._puppets[ecu].answer = answer

    def wire(self, ecu: EcuId, change: Wire) -> Wire:
        """Stand in the middle of the wire of an ECU's bus; the change, to be taken away by `unwire`."""
        self.needs(*INSIDE)
        bus = self.scene.bus_of(ecu)
        changes = self._wires.setdefault(bus.name, [])
        changes.append(change)

        def pass_on(sender: str, frame: CanFrame) -> CanFrame | None:
            passed: CanFrame | None = frame
            for each in changes:
                if passed is None:
                    return None
                passed = each(sender, passed)
            return passed

        bus.filter = pass_on
        return change

    def unwire(self, ecu: EcuId, change: Wire) -> None:
        """Stand in the middle no longer."""
        self._wires[self.scene.bus_of(ecu).name].remove(change)

    def cut_off(self, ecu: EcuId) -> Wire:
        """Let no frame pass between an ECU and the others; what he sends himself passes."""
        address = self.scene.car.plan.ecu(ecu).address
        name = self.scene.node(ecu).name

        def change(sender: str, frame: CanFrame) -> CanFrame | None:
            found = address_of(frame.can_id)
            to_it = found is not None and found.target == address and not sender.startswith("attacker")
            return None if sender == name or to_it else frame

        return self.wire(ecu, change)

    # -------------------------------------------------------------------------------------------------- deliveries

    def give(self, ecu: EcuId, item: Object, octets: bytes, *, own: int = WORKSHOP, number: int = 0) -> bool:
        """Deliver an object into an ECU's RAM; whether it took it."""
        outcome = self.do(deliver(ecu, Place(item, number), octets, Blocks()), own)
        return not isinstance(outcome, MarqueError)

    def check(self, ecu: EcuId, option: CheckOption, *, own: int = WORKSHOP) -> bool:
        """Have an ECU verify what was delivered; whether it accepted."""
        return not isinstance(self.do(check(ecu, option, lambda _status: False), own), MarqueError)

    def session(self, ecu: EcuId, session: Session = Session.EXTENDED, *, own: int = WORKSHOP) -> bool:
        """Open a session; whether the ECU let him."""
        return not isinstance(self.do(open_session(ecu, session), own), MarqueError)

    def put(self, ecu: EcuId, item: Object, octets: bytes, *, own: int = WORKSHOP) -> bool:
        """Deliver and have verified what has a check of its own: a Root, Targets of a partial ECU, time, an order."""
        return self.give(ecu, item, octets, own=own) and self.check(ecu, CheckOption(int(item)), own=own)

    def tell_time(self, ecu: EcuId, *, own: int = WORKSHOP) -> bool:
        """Have the honest time service attest the time to an ECU: anyone may ask it."""
        nonce = self.do(read_nonce(ecu), own)
        if isinstance(nonce, MarqueError):
            return False
        (attestation,) = self.scene.servers.time.attest((nonce,))
        return self.put(ecu, Object.ATTESTATION, attestation, own=own)

    def give_time(self, ecu: EcuId, *, own: int = WORKSHOP) -> bool:
        """As tell_time, in a session of its own."""
        self.session(ecu, own=own)
        told = self.tell_time(ecu, own=own)
        self.close(ecu, own=own)
        return told

    def close(self, ecu: EcuId, *, own: int = WORKSHOP) -> None:
        """End the session."""
        self.do(close_session(ecu), own)

    def isolate(self, own: int) -> None:
        """Let nothing of the Primary's pass on any bus, unless he speaks in its name himself."""
        if own == PRIMARY_ADDRESS:
            return
        name = self.scene.car.primary.name
        for ecu in (BRAKE, CAMERA):
            self.wire(ecu, lambda sender, frame: None if sender == name else frame)

    def sample(self, label: str) -> None:
        """Have it looked at who takes old metadata for fresh now."""
        self.samples[label] = {ecu: self.believes(ecu) for ecu in ECUS}

    def verify(
        self, ecu: EcuId, director: Director, images: Mapping[str, bytes] | None = None, *, own: int = WORKSHOP
    ) -> bool:
        """Hand a Secondary metadata as a Primary would: Roots it lacks, then what it verifies; whether it accepted."""
        status = self.do(read_status(ecu), own)
        if isinstance(status, MarqueError):
            return False
        version = read(director.root, Root).header.version
        links = self.root_links() | {f"{version}.root": director.root}
        for number in range(status.director_root + 1, version + 1):
            self.put(ecu, Object.DIRECTOR_ROOT, links[f"{number}.root"], own=own)
        if CLASS_OF[ecu] is EcuClass.PARTIAL:
            return self.put(ecu, Object.DIRECTOR_TARGETS, director.targets, own=own)
        self.give(ecu, Object.DIRECTOR_TIMESTAMP, director.timestamp, own=own)
        self.give(ecu, Object.DIRECTOR_SNAPSHOT, director.snapshot, own=own)
        self.give(ecu, Object.DIRECTOR_TARGETS, director.targets, own=own)
        if images is not None:
            self._give_images(ecu, images, status.image_root, own)
        return self.check(ecu, CheckOption.EVERYTHING, own=own)

    def _give_images(self, ecu: EcuId, images: Mapping[str, bytes], held_root: int, own: int) -> None:
        number = 0
        for role, octets in sorted(images.items()):
            if role == Role.ROOT.value:
                if read(octets, Root).header.version > held_root:
                    self.give(ecu, Object.IMAGE_ROOT, octets, own=own)
            elif role in OBJECTS:
                self.give(ecu, OBJECTS[role][1], octets, own=own)
            else:
                self.give(ecu, Object.DELEGATED, octets, own=own, number=number)
                number += 1

    def flash(self, ecu: EcuId, octets: bytes, *, own: int = WORKSHOP, restart_it: bool = True) -> bool:
        """Install octets as a workshop does, under what the ECU has verified; whether nothing was refused."""
        return not isinstance(self.do(_flashing(ecu, octets, restart_it=restart_it), own), MarqueError)

    def status(self, ecu: EcuId, *, own: int = WORKSHOP) -> Status | None:
        """What a Secondary says of itself, if it says anything."""
        outcome = self.tester(own).do(read_status(ecu))
        return outcome if isinstance(outcome, Status) else None

    def state_of(self, ecu: EcuId) -> str:
        """The durable state of an ECU in the vehicle transaction: he could ask for it at any time."""
        node: Any = self.scene.node(ecu)
        octets = node.records.load(INSTALLED if ecu == HEAD else INSTALLATION)
        return "idle" if octets is None else record.load(octets).state.value

    def first_to_be(self, state: str, *among: EcuId, seconds: float = 600) -> EcuId | None:
        """Wait for the first Secondary that is not his (or of these) to come to this state; None if none does."""
        ecus = among or self.others()
        found = [ecu for ecu in ecus if self.state_of(ecu) == state]

        def moved(node: Powered, effect: object) -> bool:
            ecu = getattr(node, "ecu", None)
            if (
                ecu in ecus
                and isinstance(effect, Store)
                and effect.name == INSTALLATION
                and self.state_of(ecu) == state
            ):
                found.append(ecu)
            return bool(found)

        if not found:
            self.scene.until_told(moved, seconds)
        return found[0] if found else None

    def others(self) -> tuple[EcuId, ...]:
        """The Secondaries that are not his."""
        return tuple(ecu for ecu in ECUS if ecu != HEAD and ecu not in self.mine)

    def octets_of(self, filename: Filename) -> bytes:
        """The octets of a genuine image: they are public."""
        return self.scene.seen.blobs[self.image(filename).sha256]

    # ----------------------------------------------------------------------------------------------------- leaving

    def leave(self) -> None:
        """The attacker goes, and takes his tools with him. What he has taken over he still has."""
        super().leave()
        for name in self._wires:
            next(bus for bus in self.scene.car.buses.values() if bus.name == name).filter = None
        self._wires.clear()
        for tester in self._testers.values():
            tester.leave()
        for puppet in self._puppets.values():
            puppet.leave()
        self._testers.clear()
        self._puppets.clear()


def _flashing(ecu: EcuId, octets: bytes, *, restart_it: bool) -> Workflow[Any, None]:
    yield from open_session(ecu, Session.PROGRAMMING)
    yield from erase(ecu)
    yield from send_image(ecu, len(octets), from_octets(octets), Blocks())
    yield from check(ecu, CheckOption.IMAGE, lambda _status: False)
    if restart_it:
        yield from restart(ecu)
