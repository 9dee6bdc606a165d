"""A coarse vehicle: what a hundred thousand of them say to the Director is real, what happens inside is told short.

Real: every poll; its manifests and reports, signed by its own key, octet for octet what the shipping core would send;
uptane.verify's own checks of the Director's Timestamp and Targets; its own slots' record (uptane.verify.installation);
the pauses between polls and after failures.

Left out: the Image repository and the time service (nothing is asked of them, its time is true), the Director's
Snapshot and Root chain, the octets of images, durable records and their order. It takes what the Director assigns
without a second repository's word, so nothing can be learnt from it about attacks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from primary.needs import Poll, Polled, Unreachable, Versions
from primary.primary import POLL_S_MAX, RETRY_MS, RETRY_MS_MAX
from sim.clock import NS_PER_MS
from sim.fleet_vehicle import BOOT_NS, SELF_TEST_NS, WATCHDOG_NS, Health, Road
from sim.signatures import CODEC, HASHER
from uptane import crypto
from uptane.crypto import Ed25519Signer
from uptane.model.ids import EcuId, HardwareId, Repository, VehicleId
from uptane.model.metadata import LEVEL, DirectorTargets, ForVehicle, Image, Root
from uptane.model.reports import EcuReport, EcuState, InstalledImage, ManifestEntry, VehicleManifest
from uptane.model.signed import Verified
from uptane.moments import SECOND_MS, UtcTime
from uptane.verify import installation as install
from uptane.verify.image import Assigned, Content, assigned_to, installed_image
from uptane.verify.installation import Installation
from uptane.verify.roles import check_targets, check_timestamp
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Trusted

FETCHES: Final = 5  # of the Image repository for one small image: Root, Timestamp, Snapshot, Targets, a block
FETCHES_AGAIN: Final = 3  # when it was tried before: Snapshot and Targets are at hand

_VERIFIER: Final = Verifier(CODEC, crypto.valid, HASHER)  # each of these files is checked once: nothing to remember
_IN_TRANSACTION: Final = frozenset({EcuState.PREPARED, EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED})


@dataclass(frozen=True, slots=True)
class Model:
    """What all coarse vehicles have in common. `jitter(n)` draws a number from 0 to n."""

    road: Road
    ecu: EcuId
    hardware: HardwareId
    factory: Installation
    root: Verified[Root]
    floor: UtcTime
    jitter: Callable[[int], int]


class CoarseVehicle:
    """See the module. `place` is its number in the fleet, `seed` that of its key; provisioned with versions 1."""

    __slots__ = (
        "_admitted",
        "_again",
        "_assigned",
        "_attested",
        "_counter",
        "_failures",
        "_held",
        "_installation",
        "_life",
        "_manifest",
        "_model",
        "_previous",
        "_seed",
        "_time",
        "awake",
        "id",
        "place",
    )

    def __init__(self, place: int, vehicle: VehicleId, seed: bytes, model: Model) -> None:
        self.place = place
        self.id = vehicle
        self.awake = False
        self._seed = seed
        self._model = model
        self._life = 0
        self._installation = model.factory
        self._assigned: Assigned | None = None
        self._held = Versions(model.root.value.header.version, 1, 1, 1)
        self._time = self._previous = model.floor
        self._attested = False
        self._again = False
        self._failures = 0
        self._counter = 0
        self._manifest = b""
        self._admitted = b""

    @property
    def running(self) -> InstalledImage:
        """What it boots now."""
        return self._installation.image

    def switch_on(self) -> None:
        """Switch it on: it boots."""
        assert not self.awake
        self.awake = True
        self._failures = 0
        self._later(BOOT_NS, self._booted)

    def switch_off(self) -> None:
        """Switch it off."""
        assert self.awake
        self.awake = self._again = False
        self._life += 1

    # ------------------------------------------------------------------------------------------------------- life

    def _later(self, delay_ns: int, act: Callable[[], None]) -> None:
        life = self._life

        def in_this_life() -> None:
            if self._life == life:
                act()

        self._model.road.clock.after(delay_ns, in_this_life)

    def _ways_ns(self, count: int) -> int:
        return sum(self._model.road.way_ns() for _ in range(count))

    def _booted(self) -> None:
        """Power is up, or the software starts anew: the record says what runs; a poll is sent."""
        self._attested = False
        self._become(install.boot(self._installation)[1])
        self._later(self._ways_ns(1), self._poll)

    def _become(self, installation: Installation) -> None:
        """What is to be reported changes with the record."""
        if installation != self._installation:
            self._installation = installation
            self._manifest = b""

    def _poll(self) -> None:
        """A poll arrives; what came of it decides when the next one is sent."""
        try:
            polled = self._exchange()
        except Unreachable:
            self._again = False
            self._failures += 1
            longest = min(RETRY_MS << min(self._failures - 1, 20), RETRY_MS_MAX)
            self._pause((longest // 2 + self._model.jitter(longest // 2)) * NS_PER_MS)
            return
        self._failures = 0
        if polled.files:
            self._take(polled)
        elif self._attested:
            self._pause(self._pause_ns(polled))
            return
        self._later(self._ways_ns(1), lambda: self._attest(polled))

    def _pause_ns(self, polled: Polled) -> int:
        again, self._again = self._again, False
        if again:
            return 0
        pace = self._model.road.pace
        return min(polled.poll_again_s or pace.poll_s, POLL_S_MAX) * SECOND_MS * NS_PER_MS

    def _pause(self, pause_ns: int) -> None:
        self._later(pause_ns + self._ways_ns(1), self._poll)

    def _attest(self, polled: Polled) -> None:
        """The time is told, which a report says; then an assigned image is fetched, if it is another."""
        self._previous, self._time = self._time, self._model.road.clock.utc
        self._attested = True
        self._manifest = b""
        image = self._due()
        if image is None:
            self._pause(self._pause_ns(polled))
            return
        own = self._installation
        fetches = FETCHES_AGAIN if own.images[own.other] == installed_image(image) else FETCHES
        self._later(self._ways_ns(fetches) + BOOT_NS, self._try)

    # ----------------------------------------------------------------------------------------------------- update

    def _due(self) -> Image | None:
        """The assigned image, if it is one to be tried."""
        assigned, own = self._assigned, self._installation
        if assigned is None or assigned.image is None or install.is_running(own, assigned.image):
            return None
        return None if (assigned.bundle, assigned.targets_version) in own.rolled_back else assigned.image

    def _try(self) -> None:
        """The image was written to the other slot, and is started for the first time."""
        assigned = self._assigned
        assert assigned is not None
        image = assigned.image
        assert image is not None
        content, own = Content(image.length, image.sha256), self._installation
        if own.images[own.other] != installed_image(image):  # it may be there from an earlier try
            own = install.erase(own, assigned)
        prepared = install.prepare(own, assigned, content)
        self._become(install.boot(install.start(prepared, assigned, content, attested=self._attested))[1])
        health = self._model.road.health(self.place, image.sha256)
        if health is Health.HANGS:
            self._again = True
            self._later(WATCHDOG_NS + BOOT_NS, self._booted)
        else:
            self._later(SELF_TEST_NS, lambda: self._tested(passed=health is Health.GOOD))

    def _tested(self, *, passed: bool) -> None:
        if passed:
            self._later(self._ways_ns(1), self._prove)
            return
        self._become(install.vote(self._installation, passed=False))
        self._again = True
        self._later(BOOT_NS, self._booted)

    def _prove(self) -> None:
        """New software shows that it can report; absence of a network never reverts. Then it is there to stay."""
        with suppress(Unreachable):
            self._exchange()
        self._become(install.confirm(install.vote(self._installation, passed=True)))
        self._attested = False
        self._again = True
        self._later(self._ways_ns(1), self._poll)

    # -------------------------------------------------------------------------------------------------- the Director

    def _exchange(self) -> Polled:
        """One call at the Director, two if it lost our last manifest.

        Raises:
            Unreachable: no answer.
        """
        if not self._manifest:
            self._counter += 1
            self._manifest = self._said()
        digest = HASHER.sha256(self._manifest)
        polled = self._ask(b"" if digest == self._admitted else self._manifest)
        if polled.manifest_wanted and digest == self._admitted:
            polled = self._ask(self._manifest)
        assert not polled.refused, f"{self.id}: {polled.refused}"
        self._admitted = polled.admitted_digest
        return polled

    def _ask(self, manifest: bytes) -> Polled:
        polled = self._model.road.servers.meet(self.id, Poll(self._admitted, manifest, self._held))
        assert isinstance(polled, Polled)
        return polled

    def _take(self, polled: Polled) -> None:
        """Verify Timestamp and Targets, as far as a coarse vehicle does, and hold their versions.

        Raises:
            Rejected, Malformed: never, with a Director that does as it should.
        """
        names = {name.rpartition(".")[2]: name for name in polled.files}
        assert "root" not in names, "coarse vehicles know one Root"
        utc = self._model.road.clock.utc
        trusted: Trusted[DirectorTargets] = Trusted(Repository.DIRECTOR, ForVehicle(self.id), self._model.root)
        timestamp = check_timestamp(_VERIFIER, polled.files[names["timestamp"]], trusted, utc=utc).value
        octets = polled.files[names["targets"]]
        targets = check_targets(_VERIFIER, octets, trusted, DirectorTargets, listed=None, utc=utc).value
        held = Versions(self._held.root, timestamp.header.version, timestamp.snapshot.version, targets.header.version)
        assert held.timestamp > self._held.timestamp, "served what is held"
        assert held.targets > self._held.targets, "served what is held"
        self._held = held
        self._assigned = assigned_to(HASHER, targets, self._model.ecu)
        self._manifest = b""

    def _said(self) -> bytes:
        """The manifest with our one report, both signed anew."""
        model, own = self._model, self._installation
        signer = Ed25519Signer.from_seed(self._seed)
        report = EcuReport(
            level=LEVEL,
            vehicle=self.id,
            ecu=model.ecu,
            hardware=model.hardware,
            counter=self._counter,
            state=own.state,
            outcome=own.outcome,
            bundle=own.bundle,
            targets_version=own.targets_version if own.state in _IN_TRANSACTION else self._held.targets,
            root_version=self._held.root,
            released_counter=own.released_counter,
            image=own.image,
            time=self._time,
            previous_time=self._previous,
            refusals=(),
        )
        entry = ManifestEntry(model.ecu, sign(CODEC, report, [signer]), None)
        return sign(CODEC, VehicleManifest(LEVEL, self.id, model.ecu, self._counter, (entry,)), [signer])


def seed_of(name: str) -> bytes:
    """The seed of the key of that name, as sim.keys has it; 100,000 signers at hand would take a gigabyte."""
    return sha256(name.encode()).digest()
