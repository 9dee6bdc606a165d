"""One update of one ECU, in the stages a workshop or a Primary goes through; each can be watched or cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from rig.backend import Assigned, Backend
from rig.settings import Verification
from rig.tester import Tester
from uptane.link import uds_client
from uptane.link.uds_objects import CheckOption, Object, Status
from uptane.link.uds_transfer import from_octets, send_image
from uptane.link.uds_values import Session
from uptane.model.ids import Repository
from uptane.model.reports import EcuReport, EcuState, Phase

FOLLOW_S = 90  # until an ECU has tested itself; its own time limit for that is 60 s


class Stage(Enum):
    """The stages, in order. The text is what a report shows."""

    METADATA = "metadata"
    ERASE = "erase"
    TRANSFER = "transfer"
    CHECK = "check"
    RESTART = "restart"
    SELF_TEST = "self-test"


@dataclass
class Update:
    """Brings `what` into the ECU that `tester` talks to. `version` is that of the Targets, 0 until they are made."""

    tester: Tester
    backend: Backend
    what: Assigned
    coordinated: bool = False
    version: int = 0
    files: dict[Object, bytes] = field(default_factory=dict)
    """What assigns it, signed when it is first delivered."""
    lasted_ms: dict[Stage, int] = field(default_factory=dict)
    watch: Callable[[Stage], None] = lambda _stage: None
    """Called when a stage begins."""

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Something of this stage is done inside."""
        self.tester.bus.journal.note("stage", stage.value)
        began_ns = time.monotonic_ns()
        self.watch(stage)
        yield
        self.lasted_ms[stage] = (time.monotonic_ns() - began_ns) // 1_000_000

    def run(self) -> EcuReport:
        """All stages; the report once the ECU has released the image.

        Raises:
            Silent, Denied, Rejected, LinkFailure: it came to an end before.
        """
        self.prepare()
        self.activate()
        return self.released()

    def prepare(self) -> None:
        """Until the other slot holds the image, checked: nothing but the activation is missing."""
        with self.stage(Stage.METADATA):
            self.metadata()
        self.tester.session(Session.PROGRAMMING)
        self.image()

    def image(self) -> None:
        """Erase, transfer and check; goes on where an earlier transfer of the same entry ended."""
        tester, ecu = self.tester, self.tester.ecu.ecu
        if tester.status().entry_digest != self.what.digest:
            with self.stage(Stage.ERASE):
                tester.run(uds_client.erase(ecu))
        octets = self.what.octets
        with self.stage(Stage.TRANSFER):
            tester.run(send_image(ecu, len(octets), from_octets(octets), tester.blocks))
        with self.stage(Stage.CHECK):
            tester.check(CheckOption.IMAGE, lambda status: status.state is EcuState.PREPARED)

    def metadata(self) -> None:
        """Roots the ECU lacks, the time, and what assigns the image; in the extended session."""
        tester = self.tester
        tester.session(Session.EXTENDED)
        roots(tester, self.backend)
        attest(tester, self.backend)
        status = tester.status()
        # Made once: issued again under the same version, they would be other content.
        self.version = self.version or status.targets_version + 1
        self.files = self.files or self._files()
        for place, octets in self.files.items():
            tester.deliver(place, octets)
        whole = tester.ecu.verification is Verification.FULL
        option = CheckOption.EVERYTHING if whole else CheckOption.DIRECTOR_TARGETS
        tester.check(option, lambda now: now.targets_version == self.version)

    def _files(self) -> dict[Object, bytes]:
        targets = self.backend.targets([self.what.entry], self.version, coordinated=self.coordinated)
        if self.tester.ecu.verification is Verification.PARTIAL:
            return {Object.DIRECTOR_TARGETS: targets}
        return full_set(self.backend, self.what, targets, self.version)

    def activate(self) -> None:
        """Restart into the new image; with a coordinator on its order."""
        with self.stage(Stage.RESTART):
            if self.coordinated:
                self.order(Phase.ACTIVATE)
                self.tester.session(Session.PROGRAMMING)
            self.tester.run(uds_client.restart(self.tester.ecu.ecu))
            self.tester.reset()
            self.tester.awake()

    def order(self, phase: Phase) -> None:
        """Give an order for this bundle. Raises Silent, Denied, Rejected."""
        self.tester.session(Session.EXTENDED)
        octets = self.backend.order(phase, self.backend.bundle([self.what.entry]), self.version)
        self.tester.deliver(Object.ORDER, octets)
        self.tester.check(CheckOption.ORDER, lambda status: status.last_phase is phase)

    def follow(self, *states: EcuState) -> EcuReport:
        """Wait until the ECU is in one of `states`. Raises Silent."""
        with self.stage(Stage.SELF_TEST):
            return wait_for(self.tester, *states)

    def released(self) -> EcuReport:
        """The report once the image is released, after commit and release were ordered where it takes orders."""
        if self.coordinated:
            self.follow(EcuState.VOTED)
            for phase in (Phase.COMMIT, Phase.RELEASE):
                self.order(phase)
        return self.follow(EcuState.RELEASED)


def wait_for(tester: Tester, *states: EcuState) -> EcuReport:
    """The ECU's report once it is in one of `states`; it may not answer while it restarts. Raises Silent."""
    found: list[EcuReport] = []

    def there() -> bool:
        try:
            found.append(tester.report())
        except uds_client.Silent:
            return False
        return found[-1].state in states

    tester.until(there, FOLLOW_S, " or ".join(state.value for state in states))
    return found[-1]


def roots(tester: Tester, backend: Backend) -> None:
    """Deliver the Roots the ECU lacks, one by one."""
    status = tester.status()
    for version in range(status.director_root + 1, backend.latest_root() + 1):
        tester.deliver(Object.DIRECTOR_ROOT, backend.root(Repository.DIRECTOR, version))
        tester.check(CheckOption.DIRECTOR_ROOT, partial(_holds, Repository.DIRECTOR, version))
    if tester.ecu.verification is Verification.FULL:
        for version in range(status.image_root + 1, backend.latest_root(Repository.IMAGE) + 1):
            tester.deliver(Object.IMAGE_ROOT, backend.root(Repository.IMAGE, version))
            tester.check(CheckOption.IMAGE_ROOT, partial(_holds, Repository.IMAGE, version))


def _holds(repository: Repository, version: int, status: Status) -> bool:
    return (status.director_root if repository is Repository.DIRECTOR else status.image_root) >= version


def attest(tester: Tester, backend: Backend) -> None:
    """Tell the ECU the time."""
    nonce = tester.run(uds_client.read_nonce(tester.ecu.ecu))
    tester.deliver(Object.ATTESTATION, backend.attestation(nonce))
    tester.check(CheckOption.ATTESTATION, lambda status: status.time_attested)


def full_set(backend: Backend, what: Assigned, targets: bytes, version: int) -> dict[Object, bytes]:
    """What an ECU that verifies fully needs to be assigned `what`: the roles of both repositories."""
    image_targets = backend.image_targets([what.image], version)
    snapshot = backend.snapshot(Repository.DIRECTOR, targets, version)
    image_snapshot = backend.snapshot(Repository.IMAGE, image_targets, version)
    return {
        Object.DIRECTOR_TIMESTAMP: backend.timestamp(Repository.DIRECTOR, snapshot, version),
        Object.DIRECTOR_SNAPSHOT: snapshot,
        Object.DIRECTOR_TARGETS: targets,
        Object.IMAGE_TIMESTAMP: backend.timestamp(Repository.IMAGE, image_snapshot, version),
        Object.IMAGE_SNAPSHOT: image_snapshot,
        Object.IMAGE_TARGETS: image_targets,
    }
