"""The running Director: the shipping machine, records in memory, its ear at the Image repository, its two doors.

One request is read, decided upon, made durable and only then answered, as director/shell/keeper.py does it. The Image
repository is heard lazily: whenever somebody asks after the machine's deadline has passed, so that a year in a garage
costs no events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, assert_never

from director.catalogue import Catalogue, refresh, reloaded
from director.ceremony import signers_under
from director.errors import Declined
from director.events import (
    Act,
    ByOperator,
    ByVehicle,
    Done,
    Event,
    Heard,
    PollArrived,
    PutRoot,
    PutVehicle,
    Refresh,
    Reply,
    Store,
    Stored,
    Tick,
    vehicle_uri,
)
from director.fleet import Fleet
from director.inventory import Issued, Vehicle
from director.issue import CLOCK_SKEW_MAX_S, Press
from director.poll import DIGEST_LENGTH, Answer, Asked, Desk, HeldVersions
from director.service import Director
from director.time_service import BUILD_TIME
from primary.needs import Poll, Polled, Reason, RefusedByDirector, Unreachable
from sim.director_records import Records
from sim.keys import Ring
from sim.server import Server, Site
from sim.signatures import CODEC, HASHER, VERIFIER
from sim.verbs import Verb
from uptane.errors import LinkFailure, Malformed, Rejected
from uptane.model.ids import MetaName, VehicleId
from uptane.model.limits import MANIFEST_LENGTH_MAX
from uptane.model.metadata import Fleet as FleetSpeaker
from uptane.moments import Instant, after
from uptane.verify.delegations import Wanted
from uptane.verify.needs import Drop, Fetch, Keep, Need, Stands
from uptane.verify.root import check_root, first_root

OPERATOR: Final = "operator"
REMEMBERED_MS: Final = 600_000  # as director/shell/keeper.py: an image asked about is looked up again meanwhile

Answered: TypeAlias = Answer | Done


class Images(Protocol):
    """The way from the Director to the Image repository."""

    def metadata(self, name: str, length_max: int) -> bytes | None:
        """A file, one octet too long if it is longer than `length_max`; None if there is none of that name.

        Raises:
            LinkFailure: the repository does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What is promised: how long metadata of a vehicle are valid, and how often idle vehicles poll; in seconds."""

    lifetime_s: int = 86_400
    poll_s: int = 300


TERMS: Final = Terms()


def _nothing(*_: object) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class Listeners:
    """Who is told what has become durable, the moment it has."""

    on_issue: Callable[[VehicleId, Mapping[str, bytes]], None] = _nothing
    on_admitted: Callable[[VehicleId, bytes], None] = _nothing
    on_root: Callable[[bytes], None] = _nothing


class DirectorServer(Server):
    """See the module. `ring` holds the online keys."""

    def __init__(self, records: Records, ring: Ring, images: Images, site: Site, *, terms: Terms = TERMS) -> None:
        super().__init__("director", site)
        self.records: Final = records
        self.ring: Final = ring
        self.images = images
        self.terms: Final = terms
        self.listeners: Final = Listeners()
        self.trouble = ""
        self._asked: dict[Wanted, Instant] = {}
        self._machine = self._started()

    def reload(self) -> None:
        """A new machine, from what is durable."""
        self._asked = {}
        self.trouble = ""
        self._machine = self._started()

    def _started(self) -> Director:
        root = first_root(VERIFIER, self.records.roots[0], FleetSpeaker())
        for octets in self.records.roots[1:]:
            root = check_root(VERIFIER, octets, root)
        catalogue, gone = reloaded(VERIFIER, self.records.image_files)
        for file in gone:
            self.records.keep_image_file(file, None)
        fleet = Fleet(tuple(self.records.roots), root, self.records.rules, catalogue, self.terms.poll_s)
        press = Press(CODEC, HASHER, signers_under(root.value, self.ring), self.terms.lifetime_s)
        return Director(fleet, Desk(VERIFIER, press), self.ring)

    @property
    def fleet(self) -> Fleet:
        """What is the same for every vehicle."""
        return self._machine.fleet

    @property
    def vehicles(self) -> Mapping[VehicleId, Vehicle]:
        """Every vehicle as it is on record."""
        return self.records.vehicles

    # ------------------------------------------------------------------------------------------------------ doors

    def poll(self, vehicle: VehicleId, need: Poll, certificate: str) -> Polled:
        """A vehicle that shows this certificate polls.

        Raises:
            Unreachable: the Director is down or refuses to talk.
        """
        with self.door():
            asked = _asked(need)
            self._listen()
            answer = self._transact(lambda: self._arrived(vehicle, asked, certificate))
            assert isinstance(answer, Answer), "a poll is answered by an Answer"
            for check, detail in answer.refused:
                self.say(Verb.REFUSED, f"{check.name} {vehicle}: {detail}")
            refused = tuple(RefusedByDirector(check.code, detail) for check, detail in answer.refused)
            return Polled(
                answer.manifest_wanted, answer.admitted_digest, answer.poll_again_s, refused, dict(answer.files)
            )

    def operate(self, act: Act, also: Iterable[Wanted] = ()) -> Done:
        """An operator acts; images in `also` are looked up first.

        Raises:
            Declined: the Director says no.
            LinkFailure, Rejected, Malformed: `also` could not be looked up; the Director itself is down.
        """
        wanted = set(also)
        with self.door():
            if wanted:
                self._hear(wanted)
            else:
                self._listen()
            done = self._transact(lambda: ByOperator(OPERATOR, self.utc, act))
            assert isinstance(done, Done), "an act is answered by Done"
            return done

    def listen(self) -> None:
        """Hear the Image repository, if the machine wants to."""
        with self.door():
            self._listen()

    def _arrived(self, name: VehicleId, asked: Asked, certificate: str) -> Event:
        vehicle = self.records.vehicles.get(name)
        admitted = self.records.is_admitted(certificate, vehicle_uri(name))
        if not admitted or vehicle is None or vehicle.revoked is not None:
            raise Unreachable(self.name, Reason.FORBIDDEN, f"{name} may not poll")
        return ByVehicle(self.utc, PollArrived(vehicle, asked))

    # ------------------------------------------------------------------------------------------------ transactions

    def _transact(self, making: Callable[[], Event]) -> Answered:
        self._check_clock()
        now = self.site.clock.instant
        effects = self._machine.handle(making(), now)
        stores = [effect for effect in effects if not isinstance(effect, Reply | Refresh)]
        if stores:
            self.moment("before commit")
            known = {each.vehicle.id: self.records.vehicles.get(each.vehicle.id) for each in _vehicles(stores)}
            self.records.commit(stores)
            self._tell(stores, known)
            self.moment("after commit")
        self._machine.handle(Stored(), now)
        answer = next(effect.answer for effect in effects if isinstance(effect, Reply))
        if isinstance(answer, Declined):
            raise answer
        return answer

    def _check_clock(self) -> None:
        """As director/shell/keeper.py: a clock that is certainly wrong decides nothing."""
        passed = max(BUILD_TIME, self.fleet.root.value.header.issued)
        if self.utc < passed - CLOCK_SKEW_MAX_S:
            self.say(Verb.TROUBLE, f"the clock says {self.utc}, and {passed} has certainly passed")
            raise Unreachable(self.name, Reason.DOWN, "its clock is wrong")

    def _tell(self, stores: Iterable[Store], known: Mapping[VehicleId, Vehicle | None]) -> None:
        for store in stores:
            if isinstance(store, PutRoot):
                self.listeners.on_root(store.octets)
            elif isinstance(store, PutVehicle):
                self._tell_of(store.vehicle, known[store.vehicle.id])

    def _tell_of(self, vehicle: Vehicle, before: Vehicle | None) -> None:
        digest = None if vehicle.admission is None else vehicle.admission.digest
        if digest is not None and (before is None or before.admission != vehicle.admission):
            self.say(Verb.ADMITTED, f"{vehicle.id} {digest.hex()[:16]}")
            self.listeners.on_admitted(vehicle.id, digest)
        if vehicle.issued is not None and (before is None or before.issued != vehicle.issued):
            files = issued_files(vehicle.issued)
            self.say(Verb.ISSUED, f"{vehicle.id} {' '.join(files)}")
            self.listeners.on_issue(vehicle.id, files)

    # ----------------------------------------------------------------------------------------- the Image repository

    def _listen(self) -> None:
        deadline = self._machine.deadline()
        now = self.site.clock.instant
        if deadline is None or now < deadline:
            return
        if not any(isinstance(effect, Refresh) for effect in self._machine.handle(Tick(), now)):
            return
        try:
            self._hear(())
        except (LinkFailure, Rejected, Malformed) as failure:
            if str(failure) != self.trouble:
                self.say(Verb.TROUBLE, f"Image repository: {failure}")
            self.trouble = str(failure)

    def _hear(self, also: Iterable[Wanted]) -> None:
        now = self.site.clock.instant
        self._asked = {each: until for each, until in self._asked.items() if until > now}
        self._asked |= dict.fromkeys(also, after(now, REMEMBERED_MS))
        wanted = self.records.images_in_use() | self._asked.keys()
        workflow = refresh(VERIFIER, self.fleet.catalogue, wanted, utc=self.utc)
        answer: bytes | None = None
        catalogue: Catalogue | None = None
        while catalogue is None:
            try:
                need = workflow.send(answer)
            except StopIteration as ended:
                catalogue = ended.value
            else:
                answer = self._met(need)
        self._machine.handle(Heard(catalogue), now)
        self.trouble = ""

    def _met(self, need: Need) -> bytes | None:
        match need:
            case Fetch():
                return self.images.metadata(str(need.name), need.length_max)
            case Keep(file=file, octets=octets):
                self._keep(file, octets)
            case Drop(file=file):
                self._keep(file, None)
            case Stands():
                pass  # the catalogue is made anew from what is stored
            case _:
                assert_never(need)
        return None

    def _keep(self, file: str, octets: bytes | None) -> None:
        """Each file is a transaction of its own."""
        self.moment(f"before keeping {file}")
        self.records.keep_image_file(file, octets)
        self.moment(f"after keeping {file}")


def issued_files(issued: Issued) -> dict[str, bytes]:
    """The three files by the names they are served under."""
    return {
        str(MetaName("timestamp")): issued.timestamp,
        str(MetaName("snapshot", issued.snapshot_version)): issued.snapshot,
        str(MetaName("targets", issued.targets_version)): issued.targets,
    }


def _asked(need: Poll) -> Asked:
    """A poll within the limits of the vehicles' door."""
    if len(need.manifest_digest) not in (0, DIGEST_LENGTH) or len(need.manifest) > MANIFEST_LENGTH_MAX:
        raise Unreachable("director", Reason.REFUSED, "a digest or a manifest of a wrong length")
    held = need.held
    return Asked(
        need.manifest_digest, need.manifest, HeldVersions(held.root, held.timestamp, held.snapshot, held.targets)
    )


def _vehicles(stores: Iterable[Store]) -> list[PutVehicle]:
    return [store for store in stores if isinstance(store, PutVehicle)]
