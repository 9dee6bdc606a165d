"""The Director and the people around it: operators with their orders, integrators, the holders of the Root keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from director.assign import Selection
from director.ceremony import ONLINE, next_root
from director.errors import Declined
from director.events import Assign, Constrain, Done, Enrol, Provision, Revoke, SubmitRoot
from director.inventory import Ecu, Vehicle
from director.provision import initial_files
from director.resolve import Rule
from director.status import VehicleStatus, status
from primary.needs import Poll, Polled
from sim.director_records import Records
from sim.director_server import TERMS, DirectorServer, Images, Terms
from sim.keys import Ring, listed
from sim.server import Caretakers, Site
from sim.signatures import CODEC
from sim.verbs import Verb
from uptane.crypto import Ed25519Signer, key_id_of
from uptane.errors import LinkFailure, Malformed, Rejected
from uptane.model.ids import EcuId, Filename, HardwareId, Role, VehicleId
from uptane.model.metadata import Key, Root
from uptane.model.signed import PublicKey
from uptane.verify.delegations import Wanted
from uptane.verify.roles import top_authority
from uptane.verify.signing import sign


class DirectorNode(DirectorServer):
    """See the module. `offline` holds the Root keys."""

    def __init__(
        self, records: Records, rings: tuple[Ring, Ring], images: Images, site: Site, *, terms: Terms = TERMS
    ) -> None:
        """`rings` are the online keys and the offline ones."""
        super().__init__(records, rings[0], images, site, terms=terms)
        self.offline: Final = rings[1]
        self.caretakers: Final = Caretakers(site.clock)
        self.given: Final[dict[VehicleId, str]] = {}

    def reload(self) -> None:
        """As DirectorServer.reload; while it was down, nobody could do anything."""
        super().reload()
        self.caretakers.looked()

    # ---------------------------------------------------------------------------------------------------- vehicles

    def poll(self, vehicle: VehicleId, need: Poll, certificate: str | None = None) -> Polled:
        """As DirectorServer.poll; with the certificate that the vehicle was given last, if no other is shown."""
        self._tend()
        return super().poll(vehicle, need, self.given.get(vehicle, "") if certificate is None else certificate)

    def enrol(self, vehicle: VehicleId, ecus: Sequence[Ecu]) -> Done:
        """Enter a vehicle; once more is no mistake.

        Raises:
            Declined, LinkFailure.
        """
        done = self.operate(Enrol(vehicle, tuple(ecus), "", self.records.vehicles.get(vehicle)))
        self.say(Verb.ENROLLED, vehicle)
        return done

    def provision(
        self, vehicle: VehicleId, keys: Mapping[EcuId, PublicKey], *, replacing: bool = False
    ) -> Mapping[str, bytes]:
        """Make what a vehicle's directory contains: initial metadata by path, such as `director/root`.

        With `replacing`, keys on file give way: those ECUs were exchanged, or a revoked vehicle comes back.

        Raises:
            Declined, LinkFailure: nothing was made, or nothing came of it: ask again.
        """
        serial = f"{vehicle} {len(self.records.certificates) + 1}"
        self.listen()
        done = self.operate(Provision(self.known(vehicle), dict(keys), serial, replacing))
        assert done.vehicle is not None, "a provisioned vehicle comes with the reply"
        self.given[vehicle] = serial
        for ecu in sorted(keys) if replacing else ():
            self.say(Verb.REPLACED, f"{vehicle} {ecu}")
        return initial_files(done.vehicle, self.fleet)

    def known(self, vehicle: VehicleId) -> Vehicle:
        """A vehicle that is enrolled."""
        return self.records.vehicles[vehicle]

    # --------------------------------------------------------------------------------------------------- operators

    def assign(
        self,
        vehicles: Iterable[VehicleId] | None,
        ecus: Mapping[EcuId, Filename | None],
        hardware: Mapping[HardwareId, Filename | None] | None = None,
    ) -> Done:
        """Order images for ECUs, or for all ECUs of some hardware; None withdraws. No vehicles named: the whole fleet.

        Raises:
            Declined, LinkFailure, Rejected, Malformed: nothing is ordered.
        """
        selections = [Selection(ecu, None, image) for ecu, image in ecus.items()]
        selections += [Selection(None, kind, image) for kind, image in (hardware or {}).items()]
        meant = [self.known(each) for each in (sorted(self.records.vehicles) if vehicles is None else vehicles)]
        act = Assign(tuple(meant), tuple(selections), every=vehicles is None, dry_run=False)
        done = self.operate(act, also=_wanted(meant, selections))
        named = "fleet" if vehicles is None else " ".join(each.id for each in meant)
        self.say(Verb.ASSIGNED, f"{named} {' '.join(map(str, selections))}")
        return done

    def constrain(self, rule: Rule, *, remove: bool = False) -> Done:
        """Add a rule between images, or take it back.

        Raises:
            Declined, LinkFailure.
        """
        return self.operate(Constrain(rule, remove))

    def status(self, vehicle: VehicleId) -> VehicleStatus:
        """What an operator sees of a vehicle."""
        return status(self.known(vehicle), self.fleet)

    def revoke(self, vehicle: VehicleId) -> Done:
        """End a vehicle's access.

        Raises:
            Declined, LinkFailure.
        """
        done = self.operate(Revoke(self.known(vehicle)))
        self.say(Verb.REVOKED, vehicle)
        return done

    # --------------------------------------------------------------------------------------------- holders of keys

    def rotate(self, role: Role, time_keys: Sequence[PublicKey] = ()) -> int:
        """Give a role other keys by a new Root; return its version. For `time`, they are given.

        Raises:
            Declined, LinkFailure: it has to be tried again; online keys that were made stay, and are used by nobody.
        """
        before = self.fleet.root.value
        held = top_authority(before, role)
        if role is Role.ROOT:
            fresh = listed(self.offline.create(role.value, len(held.keys)))
        elif role in ONLINE:
            fresh = listed(self._prepare(role, held.threshold))
        else:
            fresh = [Key(key_id_of(public), public) for public in time_keys]
        version = self._submit(next_root(before, role, fresh, threshold=held.threshold, utc=self.true_utc))
        self.say(Verb.ROTATED, role.value)
        return version

    def renew_root(self) -> int:
        """The same Root once more, valid anew; return its version.

        Raises:
            Declined, LinkFailure.
        """
        before = self.fleet.root.value
        held = top_authority(before, Role.ROOT)
        keys = [Key(key_id, public) for key_id, public in held.keys.items()]
        version = self._submit(next_root(before, Role.ROOT, keys, threshold=held.threshold, utc=self.true_utc))
        self.say(Verb.RENEWED, f"{version}.root")
        return version

    def _prepare(self, role: Role, count: int) -> list[Ed25519Signer]:
        with self.door():
            self.moment("before online key")
            made = self.ring.create(role.value, count)
            self.moment("after online key")
            return made

    def _submit(self, following: Root) -> int:
        signers = {
            signer.public: signer
            for root in (self.fleet.root.value, following)
            for signer in self.offline.signers(top_authority(root, Role.ROOT))
        }
        return self.operate(SubmitRoot(sign(CODEC, following, list(signers.values())))).version

    def _tend(self) -> None:
        """Renew the Root each time it was due since somebody looked last; what fails now is tried again later."""
        while self.up and (due := self.caretakers.due([self.fleet.root.value.header])) is not None:
            try:
                with self.back_then(due):
                    self.renew_root()
            except (Declined, LinkFailure, Rejected, Malformed) as failure:
                self.say(Verb.TROUBLE, f"the Root cannot be renewed: {failure}")
                break
        self.caretakers.looked()


def _wanted(vehicles: Iterable[Vehicle], selections: Iterable[Selection]) -> set[Wanted]:
    """What an order needs to be looked up: each image for the hardware of each ECU it may be meant for."""
    return {
        Wanted(each.image, record.ecu.hardware)
        for each in selections
        if each.image is not None
        for vehicle in vehicles
        for record in vehicle.ecus
        if record.ecu.id == each.ecu or record.ecu.hardware == each.hardware
    }
