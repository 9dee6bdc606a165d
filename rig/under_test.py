"""One ECU on the rig: everything a case needs of it, and the way back to rest after whatever a case did to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from rig import images
from rig.backend import Assigned, Backend, same
from rig.bus import Bus
from rig.console import Console
from rig.journal import Journal
from rig.power import NoSwitch, Power, run
from rig.settings import EcuSettings, Verification
from rig.tester import Tester, plugged_in
from rig.update import Stage, Update, attest, full_set, roots, wait_for
from uptane.errors import Check, LinkFailure, Rejected
from uptane.link import uds_client
from uptane.link.uds_client import Denied
from uptane.link.uds_objects import CheckOption, Object
from uptane.link.uds_values import Session
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, InstalledImage, Phase
from uptane.model.signed import PublicKey

AT_REST: Final = frozenset({EcuState.IDLE, EcuState.RELEASED})
INTERLOCK_S: Final = 10.0
REST_ATTEMPTS: Final = 3


class PowerCut(Exception):
    """The power was cut, as it was told; not a failure."""


class Standing(NamedTuple):
    """What an attack must not move."""

    image: InstalledImage
    director_root: int
    targets_version: int
    running_slot: int


@dataclass
class UnderTest:
    """One ECU; made by session.Rig."""

    settings: EcuSettings
    backend: Backend
    bus: Bus
    power: Power
    console: Console | None
    key: PublicKey | None
    folder: Path
    memory: Path
    """Where the latest release counter is remembered: an ECU does not tell which one it was assigned last."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Plug in."""
        self.tester = Tester(self.bus, self.settings, self.key)
        self.dice = Random(self.seed)
        self.lasted_ms: dict[Stage, int] = {}
        """How long each stage took in the latest whole update."""
        self._without_power = False
        self._interlock = "safe"
        self._mark = 0
        self._noise = 0

    # ---------------------------------------------------------------------------------------------------- cases

    @property
    def journal(self) -> Journal:
        """The record of the case that runs."""
        return self.bus.journal

    def begin(self, name: str) -> None:
        """A case begins: a record of its own, and dice that depend on its name alone. Raises MarqueError."""
        self.bus.journal = self.power.journal = Journal()
        self.dice = Random(f"{self.seed} {name}")
        self._noise = self.bus.malformed
        self._mark = 0 if self.console is None else self.console.mark()
        self.tester.reset()
        if not self.tester.answers():
            self.journal.note("note", "no answer; power is cycled")
            if self.power.there:
                self.power.cycle()
            self.tester.reset()
            self.tester.awake()

    @property
    def noise(self) -> int:
        """What came in since the case began and was no frame."""
        return self.bus.malformed - self._noise

    def said(self) -> list[str]:
        """What the console said since the case began, each line with the second it came in."""
        if self.console is None:
            return []
        began = self.journal.began_ns
        return [f"{(line.at_ns - began) / 1e9:9.3f}  {line.text}" for line in self.console.since(self._mark)]

    def rest(self) -> None:
        """Back to a state in which any case can begin. Raises MarqueError when there is no way."""
        self.bus.no_alarm()
        if self._without_power:
            self.restore()
        if self._interlock != "safe":
            self.interlock("safe")
        self.tester.reset()
        self.tester.awake()
        self.tester.leave()
        for _ in range(REST_ATTEMPTS):
            state = self.tester.status().state
            if state in AT_REST or (state is EcuState.PREPARED and self.tester.status().last_phase is None):
                return  # what is prepared and not ordered is given up at the next Targets
            self._step_back(state)
        raise LinkFailure(f"{self.settings.ecu} does not come to rest: {self.tester.status().state.value}")

    def _step_back(self, state: EcuState) -> None:
        if state is EcuState.TRIAL:
            wait_for(self.tester, *(each for each in EcuState if each is not EcuState.TRIAL))
            return
        report = self.tester.report()
        if report.bundle is not None:
            self.tester.session(Session.EXTENDED)
            order = self.backend.order(Phase.ROLL_BACK, report.bundle, report.targets_version)
            self.tester.hand(Object.ORDER, order)
        self.restart()

    # ----------------------------------------------------------------------------------------------------- work

    def next_counter(self) -> int:
        """A release counter above everything this ECU was ever assigned here."""
        report = self.tester.report()
        counter = max(report.released_counter, report.image.release_counter, self._remembered()) + 1
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        self.memory.write_text(json.dumps({"counter": counter}), encoding="ascii")
        return counter

    def _remembered(self) -> int:
        try:
            return int(json.loads(self.memory.read_text(encoding="ascii"))["counter"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def image(self, octets: bytes | None = None, edit: Callable[[Image], Image] = same) -> Assigned:
        """A new image for this ECU, assigned with a new counter; `edit` changes what its metadata say."""
        counter = self.next_counter()
        if octets is None:
            octets = images.good(self.settings, counter)
        return images.assigned(self.settings, counter, octets, edit)

    def update(self, what: Assigned | None = None, *, coordinated: bool = False) -> Update:
        """An update that has not begun."""
        return Update(self.tester, self.backend, what or self.image(), coordinated)

    def install(self) -> Update:
        """A whole update with a new image, from a session to the released report; how long it took is remembered."""
        update = self.update()
        report = update.run()
        assert report.image.sha256 == update.what.image.sha256, "released, and runs another image"
        self.lasted_ms = dict(update.lasted_ms)
        return update

    def ready(self) -> None:
        """In the extended session, with the newest Root and the time."""
        self.tester.session(Session.EXTENDED)
        roots(self.tester, self.backend)
        attest(self.tester, self.backend)

    def hand_targets(self, targets: bytes, what: Assigned, version: int) -> None:
        """Have Director Targets verified: alone, or by an ECU that verifies fully with all that belongs to them."""
        if self.settings.verification is Verification.PARTIAL:
            self.tester.hand(Object.DIRECTOR_TARGETS, targets)
            return
        for place, octets in full_set(self.backend, what, targets, version).items():
            self.tester.deliver(place, octets)
        self.tester.check(CheckOption.EVERYTHING)

    def restart(self) -> None:
        """Restart it by request, and wait until it answers. Raises Silent, Denied, Rejected."""
        self.tester.session(Session.PROGRAMMING)
        self.tester.run(uds_client.restart(self.settings.ecu))
        self.tester.reset()
        self.tester.awake()

    def standing(self) -> Standing:
        """What runs and what is trusted."""
        status, report = self.tester.status(), self.tester.report()
        return Standing(report.image, status.director_root, status.targets_version, status.running_slot)

    @contextmanager
    def second_tester(self, own: int | None = None) -> Iterator[Tester]:
        """Another tester on the same bus."""
        address = own or (self.settings.tester - 1 if self.settings.tester > 0xF1 else self.settings.tester + 1)
        with plugged_in(self.bus, self.settings, self.key, address) as tester:
            yield tester

    # ---------------------------------------------------------------------------------------- power and safety

    def cut(self) -> None:
        """Cut the power now."""
        self._without_power = True
        self.power.off()

    def cut_after(self, ms: int) -> None:
        """Cut the power in so many milliseconds, whatever is under way: that ends with PowerCut."""

        def act() -> None:
            self.cut()
            raise PowerCut

        self.bus.alarm(time.monotonic_ns() + ms * 1_000_000, act)

    def restore(self) -> None:
        """Give power again after a while, and wait until the ECU answers. Raises Silent, PowerFailure."""
        self.tester.reset()
        self.tester.idle(self.power.settings.off_ms)
        self.power.on()
        self._without_power = False
        self.tester.awake()

    def interlock(self, word: str) -> None:
        """Let the vehicle be `safe` or `moving`. Raises NoSwitch when the rig file tells no way to."""
        command = self.settings.interlock.get(word)
        if command is None:
            raise NoSwitch("no [ecu.interlock] commands in the rig file")
        self._interlock = word
        run(command, self.folder, INTERLOCK_S)

    def close(self) -> None:
        """Unplug."""
        self.tester.close()
        if self.console is not None:
            self.console.close()


def refused(act: Callable[[], object]) -> Check | int | None:
    """What refused `act`: the check where the ECU names one, else the NRC; None when it was obeyed."""
    try:
        act()
    except Rejected as refusal:
        return refusal.check
    except Denied as refusal:
        return refusal.nrc
    return None
