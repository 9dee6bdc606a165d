"""The running Director: its machine, its database, and its ear at the Image repository.

One request at a time is read, decided upon, made durable, and only then answered. Hearing the Image repository takes
as long as it takes; meanwhile vehicles are answered from what was heard before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event as Signal
from threading import Lock
from typing import TypeAlias

import structlog

from director.catalogue import reloaded
from director.ceremony import KeyRing, signers_under
from director.errors import ClockWrong, Declined
from director.events import Done, Event, Heard, Log, PutVehicle, Refresh, Reply, Store, Stored, Tick
from director.fleet import Fleet
from director.issue import CLOCK_SKEW_MAX_S, Press
from director.poll import Answer, Desk
from director.service import Director
from director.shell.catalogue_client import ImageRepository, heard
from director.shell.clock import instant_now, utc_now
from director.shell.database import Database, Records
from director.time_service import BUILD_TIME
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import LinkFailure, Malformed, Rejected, StorageFailure
from uptane.model.ids import VehicleId
from uptane.model.metadata import Fleet as FleetSpeaker
from uptane.moments import Instant, UtcTime, after
from uptane.verify.delegations import Wanted
from uptane.verify.root import check_root, first_root
from uptane.verify.threshold import Verifier

Answered: TypeAlias = Answer | Done | Declined
Making: TypeAlias = Callable[[Records], Event]

LISTEN_PAUSE_S_MAX = 60.0
REMEMBERED_MS = 600_000  # an image asked about is looked up again meanwhile: it may be ordered after a dry run

_LOG = structlog.get_logger("marque.director")


@dataclass(frozen=True, slots=True)
class Terms:
    """What is promised: how long metadata are valid, and how often idle vehicles poll; both in seconds."""

    lifetime_s: int
    poll_s: int


class Keeper:
    """Keeps one Director. Safe for threads; one process at a time."""

    def __init__(self, database: Database, images: ImageRepository, ring: KeyRing, terms: Terms) -> None:
        """Read what is on record and verify it.

        Raises:
            Rejected, Malformed: what is stored does not hold.
            Declined: a key that the newest Root names is not at hand.
        """
        self.database = database
        self.verifier = Verifier(Oer(), valid, Sha2())
        self._images = images
        self._lock = Lock()
        self._hearing = Lock()
        self._polled: dict[VehicleId, UtcTime] = {}
        self._asked: dict[Wanted, Instant] = {}
        self.trouble = ""
        with database.writing() as records:
            fleet = _fleet(records, self.verifier, terms)
        press = Press(Oer(), Sha2(), signers_under(fleet.root.value, ring), terms.lifetime_s)
        self._director = Director(fleet, Desk(self.verifier, press), ring)

    @property
    def fleet(self) -> Fleet:
        """What is the same for every vehicle."""
        return self._director.fleet

    def transact(self, making: Making) -> Answered:
        """Make an event of what is on record, give it to the machine, store what it says; return the reply.

        Raises:
            ClockWrong: the time cannot be judged.
            StorageFailure: it cannot be stored; nothing has changed.
            Declined: it contradicts what is stored; nothing has changed.
            Whatever `making` raises; nothing has changed.
        """
        self.check_clock()
        with self._lock:
            with self.database.writing() as records:
                effects = self._director.handle(making(records), instant_now())
                stores = [effect for effect in effects if not isinstance(effect, Reply | Refresh)]
                records.carry_out(stores)
                self._note_polls(records, stores)
            self._director.handle(Stored(), instant_now())
        for store in stores:
            if isinstance(store, Log):
                entry = store.entry
                _LOG.info(entry.act.value, actor=entry.actor, subject=entry.subject, detail=entry.detail)
        return next(effect.answer for effect in effects if isinstance(effect, Reply))

    def check_clock(self) -> None:
        """Refuse a clock that is certainly wrong: before this software, or before the newest Root was signed.

        Raises:
            ClockWrong: it is.
        """
        utc, passed = utc_now(), max(BUILD_TIME, self.fleet.root.value.header.issued)
        if utc < passed - CLOCK_SKEW_MAX_S:
            raise ClockWrong(f"the clock says {utc}, and {passed} has certainly passed: set it")

    def polled_now(self, vehicle: VehicleId) -> None:
        """Remember that a vehicle polled; written when there is something to write anyway."""
        self._polled[vehicle] = utc_now()

    def last_poll(self, records: Records, vehicle: VehicleId) -> UtcTime | None:
        """When a vehicle last polled, as far as that is known."""
        return self._polled.get(vehicle) or records.polled(vehicle)

    def _note_polls(self, records: Records, stores: Iterable[Store]) -> None:
        for store in stores:
            if isinstance(store, PutVehicle) and store.vehicle.id in self._polled:
                records.set_polled(store.vehicle.id, self._polled[store.vehicle.id])

    # ------------------------------------------------------------------------------- the Image repository

    def hear(self, also: Iterable[Wanted] = ()) -> None:
        """Hear the Image repository: every image the fleet has to do with, and those in `also`.

        Raises:
            LinkFailure: it does not answer.
            Rejected, Malformed: it says something that does not hold.
            StorageFailure: its files cannot be stored.
        """
        with self._hearing:
            now = instant_now()
            self._asked = {each: until for each, until in self._asked.items() if until > now}
            self._asked |= dict.fromkeys(also, after(now, REMEMBERED_MS))
            with self.database.reading() as records:
                wanted = records.images_in_use() | self._asked.keys()
            catalogue = heard(self._images, self.database, self.verifier, catalogue=self.fleet.catalogue, wanted=wanted)
            with self._lock:
                self._director.handle(Heard(catalogue), instant_now())
            self.trouble = ""

    def try_to_hear(self, also: Iterable[Wanted] = ()) -> bool:
        """Hear the Image repository, and keep in mind what went wrong; whether it went well."""
        try:
            self.hear(also)
        except (LinkFailure, Rejected, Malformed, StorageFailure) as failure:
            if str(failure) != self.trouble:
                _LOG.warning("Image repository", trouble=str(failure))
            self.trouble = str(failure)
            return False
        return True

    def listen(self, stop: Signal) -> None:
        """Hear the Image repository when the machine wants to, until told to stop."""
        pause = 0.0
        while not stop.wait(pause):
            with self._lock:
                effects = self._director.handle(Tick(), instant_now())
            if any(isinstance(effect, Refresh) for effect in effects):
                self.try_to_hear()
            due = self._director.deadline()
            pause = (
                LISTEN_PAUSE_S_MAX if due is None else min(max(0.1, (due - instant_now()) / 1_000), LISTEN_PAUSE_S_MAX)
            )


def _fleet(records: Records, verifier: Verifier, terms: Terms) -> Fleet:
    """The fleet as it is on record; the chain of Roots is verified again, link by link."""
    roots = records.roots()
    if not roots:
        raise StorageFailure("the database holds no Root: it is not one of a Director that was founded")
    root = first_root(verifier, roots[0], FleetSpeaker())
    for octets in roots[1:]:
        root = check_root(verifier, octets, root)
    catalogue, gone = reloaded(verifier, records.image_files())
    for file in gone:
        records.keep_image_file(file, None)
    return Fleet(roots, root, records.rules(), catalogue, terms.poll_s)
