"""An ECU of each core that verify the same octets: by which check they refuse, what they store, what they hold then."""

import ctypes
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.firmware_chip import Start
from tests.builders import (
    BRAKE,
    BUILT,
    DAY,
    HARDWARE,
    HASHER,
    NONCE,
    VEHICLE,
    VERIFIER,
    Pair,
)
from tests.firmware.metadata_pair import OER, SLOT_SIZE, Core, facts_octets
from uptane.errors import Check, Malformed, Rejected
from uptane.link.uds_objects import Object
from uptane.model.ids import Repository
from uptane.model.metadata import Cipher, DirectorTargets, Encrypted
from uptane.moments import UtcTime
from uptane.verify import attested
from uptane.verify.chain import root_link, set_time
from uptane.verify.image import bundle_of, installed_image
from uptane.verify.needs import Drop, Keep
from uptane.verify.partial import partial
from uptane.verify.stored import reload_director
from uptane.verify.trusted import Ecu, Held, Vehicle

OWN = Ecu(VEHICLE, BRAKE, HARDWARE[BRAKE], "*/*", SLOT_SIZE)
YEAR = 365 * DAY


class Both:
    """The Python ECU and the C one, provisioned with the pair's first Root, at NOW. What one does the other must."""

    def __init__(self, host: Path, pair: Pair | None = None) -> None:
        self.pair = pair or Pair()
        self.core = Core(host, facts_octets(self.pair, OWN))
        assert self.core.power_up() is Start.UP
        self.store = {"root": self.pair.director.offered["1.root"]}
        self.released_counter = 1
        self.running = self.pair.factory[BRAKE]
        self.attested = False
        self.now = self.clock_set = 0
        self.held = self._loaded()
        self.refresh()

    def _loaded(self) -> Held:
        """What a start makes of what is stored."""
        director = reload_director(VERIFIER, self.store, VEHICLE)
        for name in director.dropped:
            del self.store[name]
        clock = attested.load(self.store.get("time"), director.trusted.root, BUILT)
        return Held(director.trusted, None, clock)

    def refresh(self) -> None:
        """Tell the C what the rest of an ECU knows."""
        self.core.tools.bench_set(self.core.ecu, NONCE, self.released_counter, ctypes.c_uint64(self.now))

    @property
    def held_now(self) -> Held:
        utc = UtcTime(self.held.clock.time + (self.now - self.clock_set) // 1000)
        return replace(self.held, clock=replace(self.held.clock, time=utc))

    @property
    def vehicle(self) -> Vehicle:
        return Vehicle(OWN, installed={BRAKE: self.running}, released={BRAKE: self.released_counter})

    def wait(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.refresh()

    def install(self) -> None:
        """Run what is assigned, confirmed."""
        self.running = installed_image(self.pair.director.entries[BRAKE].image)
        self.core.tools.bench_install(self.core.ecu)

    # ------------------------------------------------------------------------------------------------------ events

    def root(self, octets: bytes | None = None) -> Check | None:
        """Take a Root; the pair's newest if none is given."""
        director = self.pair.director
        octets = director.offered[f"{director.versions['root']}.root"] if octets is None else octets
        before = self.held
        work = root_link(VERIFIER, before, Repository.DIRECTOR, octets=octets)
        verdict, held = self._run(work)
        if held is not None:
            self.held = held
            self.clock_set = self.now if held.clock != before.clock else self.clock_set
        return self._agree(Object.DIRECTOR_ROOT, octets, verdict)

    def time(self, octets: bytes | None = None) -> Check | None:
        """Take an attestation; the pair's if none is given."""
        octets = self.pair.attestation() if octets is None else octets
        verdict, held = self._run(set_time(VERIFIER, self.held, attestation=octets, nonce=NONCE))
        if held is not None:
            self.held, self.clock_set = held, self.now
        return self._agree(Object.ATTESTATION, octets, verdict)

    def targets(self, octets: bytes | None = None) -> Check | None:
        """Take Director Targets; the pair's newest if none are given."""
        director = self.pair.director
        octets = director.offered[f"{director.versions['targets']}.targets"] if octets is None else octets
        verdict, result = self._run(partial(VERIFIER, self.held_now, self.vehicle, octets=octets))
        if result is not None:
            self.held = replace(result.held, clock=self.held.clock)
        return self._agree(Object.DIRECTOR_TARGETS, octets, verdict)

    def issued(self, **changes: Any) -> Check | None:
        """Have the Director issue Targets with one thing changed, and take them."""
        return self.targets(self.pair.director.targets(**changes))

    def power_cycle(self) -> None:
        """Both begin again from what is durable."""
        self.held, self.now, self.clock_set = self._loaded(), 0, 0
        running = self.core.power_up()
        assert running is Start.UP
        self.refresh()
        self.compare()

    # -------------------------------------------------------------------------------------------------- comparisons

    def _run(self, work: Generator[Any, Any, Any]) -> tuple[Check | None, Any]:
        """Carry out a workflow of the Python core: by which check it refuses, or what it ends with."""
        self.effects: list[str] = []
        try:
            while True:
                match next(work):
                    case Keep(file=file, octets=octets):
                        self.store[file] = octets
                        self.effects.append(file)
                    case Drop(file=file):
                        del self.store[file]
                        self.effects.append(f"-{file}")
                    case _:
                        pass
        except StopIteration as ended:
            return None, ended.value
        except Rejected as error:
            return error.check, None
        except Malformed:
            return Check.ENCODING, None

    def _agree(self, what: Object, octets: bytes, verdict: Check | None) -> Check | None:
        assert self.core.take(what, octets) == verdict
        assert self.core.log() == self.effects
        self.compare()
        return verdict

    def compare(self) -> None:
        """Both hold the same."""
        held, clock = self.held, self.held.clock
        root, targets, previous = held.director.root.value, held.director.targets, held.director.previous
        old = None if previous is None else previous.value.entries.find(BRAKE)
        numbers = [root.header.version, root.header.expires, clock.time, clock.previous, clock.attested]
        numbers += [self.held_now.clock.time, old is not None, 0 if old is None else old.image.release_counter]
        said = b"".join(min(each, 2**64 - 1).to_bytes(8) for each in [*numbers, int(targets is not None)])
        if targets is not None:
            value = targets.value
            said += value.header.version.to_bytes(8) + targets.message[-64:] + bundle_of(HASHER, value)
            said += (value.entries.find_octets(BRAKE) is not None).to_bytes(8)
        assert self.core.said("bench_held") == said


Act = Callable[[Both], Check | None]


def swapped(payload: bytes) -> bytes:
    """Two entries of the list change places."""
    value = OER.parse(payload)
    assert isinstance(value, DirectorTargets)
    entries = value.entries.octets
    first = 1 + entries[0]
    second = 1 + entries[first]
    swapped = entries[first : first + second] + entries[:first] + entries[first + second :]
    return payload.replace(entries, swapped)


def own_entry(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """The own entry's octets change, not their number."""

    def tamper(payload: bytes) -> bytes:
        value = OER.parse(payload)
        assert isinstance(value, DirectorTargets)
        entry = value.entries.find_octets(BRAKE)
        assert entry is not None
        changed = change(entry)
        assert len(changed) == len(entry)
        return payload.replace(entry, changed)

    return tamper


ENCRYPTED = Encrypted(9, bytes(32), next(iter(Cipher)), b"key")
