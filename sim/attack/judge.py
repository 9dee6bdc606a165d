"""What an attack came to, from what is true: each goal of goals.py looked for on every ECU that is not the attacker's.

The judge looks twice: while the attacker is still there, and after he has gone, the stolen keys were replaced and
people have ordered an honest update. Nothing here knows which strategy was played or what it was meant to reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from director.audit import Act
from director.inventory import EcuRecord
from sim.attack.attacker import Attacker
from sim.attack.goals import Goal, Result
from sim.attack.keys import Stolen
from sim.attack.scene import ECUS, VEHICLE, Scene
from sim.attack.witness import Genuine, Witness, bundles_of, fits, genuine_images, seconds
from uptane.model.ids import EcuId

HANGS_S: Final = 1_800  # a cycle that lasts longer while nothing fails: every call has ended long before
MORE_OCTETS: Final = 1_048_576  # stored beside what is signed: more than metadata, reports and records ever take

# Until when a freeze holds, by the last moment at which an ECU still took old metadata for fresh.
HOURS: Final = "an hour"
DAY: Final = "a day later"
YEAR: Final = "a year later"
UNTIL: Final = {
    HOURS: "the Director's files expire: a day",
    DAY: "the Director's Root expires: a year",
    YEAR: "",
}


WORKSHOP: Final = "a workshop gives the ECUs new keys"


@dataclass(frozen=True, slots=True)
class Finding:
    """A goal that was reached on an ECU; `until` is empty when it does not end by itself."""

    goal: Goal
    ecu: EcuId
    result: Result
    until: str = ""
    text: str = ""


@dataclass(slots=True)
class Verdict:
    """All that came of one attack. `told` are checks that the Director heard of while it lasted, `later` afterwards."""

    findings: list[Finding] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    recovered: bool = False

    def has(self, goal: Goal, ecu: EcuId) -> bool:
        """Whether a goal was reached on an ECU."""
        return any((each.goal, each.ecu) == (goal, ecu) for each in self.findings)


class Judge:
    """Looks at one attack, from just before it begins."""

    def __init__(self, scene: Scene, attacker: Attacker) -> None:
        self.scene, self.attacker = scene, attacker
        self.witness = Witness(scene)
        self.verdict = Verdict()
        self._audit_before = len(scene.servers.director.records.audit)
        self._runs_before = {ecu: self.witness.running(ecu) for ecu in ECUS}
        attacker.believes = self._is_taken_in
        self._judged = [ecu for ecu in ECUS if ecu not in attacker.mine]

    def look(self) -> None:
        """While the attacker is still there."""
        genuine = genuine_images(self.scene.seen)
        told = self._told()
        self.verdict.told = sorted(told)
        for ecu in self._judged:
            for goal, text in self._reached(ecu, genuine):
                self._find(goal, ecu, Result.POSSIBLE, text=text)
        self._look_at_bundles()
        self._look_at_freeze()
        self._look_at_retrieval(told)

    def look_after(self) -> None:
        """When he has gone, keys were replaced, and an honest update was ordered."""
        self.verdict.later = sorted(self._told())
        self.verdict.refused = self._refused()
        wanted = self.scene.ordered
        names = {ecu: self.witness.installation(ecu).image.filename for ecu in self._judged}
        late = [ecu for ecu in self._judged if ecu in wanted and names[ecu] != wanted[ecu]]
        self.verdict.recovered = not late
        workshop = WORKSHOP if Stolen.ECU in self.attacker.forger.loot else ""
        for ecu in late:
            text = f"runs {names[ecu]}, {wanted[ecu]} was ordered"
            self._find(
                Goal.FAST_FORWARD, ecu, Result.BOUNDED if workshop else Result.POSSIBLE, until=workshop, text=text
            )
        for ecu in self._judged:
            if not self.verdict.has(Goal.FALSE_REPORT, ecu):
                text = self._false_proof(ecu)
                if text:
                    self._find(Goal.FALSE_REPORT, ecu, Result.POSSIBLE, text=text)

    # ---------------------------------------------------------------------------------------------------- goals

    def _reached(self, ecu: EcuId, genuine: Mapping[bytes, Genuine]) -> Iterator[tuple[Goal, str]]:
        yield from self._booted(ecu, genuine)
        if ecu in self.attacker.copies and self.attacker.copies[ecu] in self._assigned(ecu, self.scene.clock.now_ns):
            yield Goal.EAVESDROP, f"{len(self.attacker.copies)} images put together from what was heard"
        if self._waits(ecu):
            yield Goal.DROP, "runs what it ran"
        if not self.witness.is_whole(ecu) or self.witness.held(ecu) is None:
            yield Goal.ENDLESS_DATA, "what it boots is no longer whole"
        if ecu == self.scene.car.primary.ecu:
            more = self.scene.car.primary.disk.used - self.witness.used_before
            if more > MORE_OCTETS:
                yield Goal.ENDLESS_DATA, f"{more} octets stored"
        if ecu in self.witness.kept_foreign:
            yield Goal.FOREIGN, "keeps a file of another vehicle"
        if ecu in self.witness.false_time:
            yield Goal.FALSE_TIME, f"{self.witness.false_time[ecu]} s beside the truth"
        if text := self._false_proof(ecu):
            yield Goal.FALSE_REPORT, text

    def _booted(self, ecu: EcuId, genuine: Mapping[bytes, Genuine]) -> Iterator[tuple[Goal, str]]:
        """Of what it booted: is it genuine, for this hardware, not older than before, and was it assigned here?"""
        seen: set[bytes] = set()
        for boot in self.witness.boots:
            if boot.ecu != ecu or boot.sha256 in seen:
                continue
            seen.add(boot.sha256)
            image = genuine.get(boot.sha256)
            if image is None:
                yield Goal.ARBITRARY, f"booted {boot.sha256.hex()[:8]}, which nobody published"
            elif not fits(ecu, image):
                yield Goal.WRONG_HARDWARE, f"booted {next(iter(image.names))}"
            elif image.counter < boot.released:
                yield Goal.ROLLBACK, f"booted {next(iter(image.names))}, {boot.released} was released"
            elif boot.sha256 not in self._assigned(ecu, boot.at_ns) | {self._runs_before[ecu]}:
                yield Goal.MIX_AND_MATCH, f"booted {next(iter(image.names))}, which was never assigned to it"

    def _assigned(self, ecu: EcuId, until_ns: int) -> set[bytes]:
        """Every image that was honestly assigned to an ECU up to then: later, what runs may be named for it runs."""
        seen = self.scene.seen
        entries = (
            each.says.entries.find(ecu)
            for each, at_ns in zip(seen.sets, seen.issued_ns, strict=True)
            if at_ns <= until_ns
        )
        return {entry.image.sha256 for entry in entries if entry is not None}

    def _waits(self, ecu: EcuId) -> bool:
        """Whether an update was ordered for an ECU since the attack began, and it runs what it ran before."""
        if self.witness.running(ecu) != self._runs_before[ecu] or ecu not in self.scene.ordered:
            return False
        return self.witness.installation(ecu).image.filename != self.scene.ordered[ecu]

    def _false_proof(self, ecu: EcuId) -> str:
        """What the Director holds for proven of an ECU that is not so; empty when nothing is."""
        record = self._record(ecu)
        if record is None or record.assigned is None or not record.assigned.proven or record.reported is None:
            return ""
        if record.reported.received < self.witness.began_utc:
            return ""  # it has heard nothing since
        image, runs = record.assigned.image, self.witness.running(ecu)
        return "" if image.sha256 == runs else f"the Director believes it runs {image.filename}"

    def _record(self, ecu: EcuId) -> EcuRecord | None:
        return self.scene.servers.director.known(VEHICLE).find(ecu)

    # --------------------------------------------------------------------------------------------- the whole vehicle

    def _look_at_bundles(self) -> None:
        """Do all ECUs run images of one bundle that was once assigned? If not, of how many new ones?"""
        sets = [each.says for each in self.scene.seen.sets]
        before = len(sets[: self.witness.sets_before])
        places = {ecu: bundles_of(sets, ecu, self.witness.running(ecu)) for ecu in self._judged}
        known = {ecu: found for ecu, found in places.items() if found}
        if not known or frozenset.intersection(*known.values()):
            return
        moved = {ecu: found for ecu, found in known.items() if all(place >= before for place in found)}
        mixed = moved and not frozenset.intersection(*moved.values())
        for ecu in known:
            goal = Goal.MIXED_BUNDLES if mixed else Goal.PARTIAL_BUNDLE
            names = ", ".join(sorted(self.witness.installation(each).image.filename for each in known))
            self._find(goal, ecu, Result.DETECTED if self._knows(known) else Result.POSSIBLE, text=names)

    def _knows(self, ecus: Mapping[EcuId, object]) -> bool:
        """Whether the Director can tell of each ECU what it runs, or that it is silent, from what was signed."""
        for ecu in ecus:
            record = self._record(ecu)
            if record is None or record.reported is None:
                return False
            if record.silent_since is None and record.reported.report.image.sha256 != self.witness.running(ecu):
                return False
        return True

    def _is_taken_in(self, ecu: EcuId) -> bool:
        """Whether an ECU takes what it holds for fresh, and it is not the newest."""
        held = self.witness.held(ecu)
        targets = None if held is None else held.director.targets
        newest = self.scene.servers.director.known(VEHICLE).issued
        assert newest is not None
        return targets is not None and targets.octets != newest.targets and self.witness.believes(ecu)

    def _look_at_freeze(self) -> None:
        samples = self.attacker.samples
        for ecu in self._judged:
            held = [label for label in (HOURS, DAY, YEAR) if samples.get(label, {}).get(ecu)]
            if held:
                until = UNTIL[held[-1]]
                self._find(Goal.FREEZE, ecu, Result.BOUNDED if until else Result.POSSIBLE, until=until)

    def _look_at_retrieval(self, told: set[str]) -> None:
        """Does a cycle of the Primary last for ever, with an update under way?"""
        hangs_s = seconds(self.scene.clock.now_ns - max(self.witness.cycle_ended_ns, self.witness.began_ns))
        if self.scene.car.primary.machine is None or hangs_s <= HANGS_S:
            return
        for ecu in self._judged:
            if self.verdict.has(Goal.DROP, ecu):
                result = Result.DETECTED if "SLOW_RETRIEVAL" in told else Result.POSSIBLE
                self._find(Goal.SLOW, ecu, result, text=f"a cycle has lasted {hangs_s} s")

    # ------------------------------------------------------------------------------------------------ what is known

    def _told(self) -> set[str]:
        """The checks that the Director has heard of since the attack began: refused by ECUs, or by itself."""
        found: set[str] = set()
        for linked in self.scene.servers.director.records.audit[self._audit_before :]:
            if linked.entry.act in {Act.ATTACK, Act.REFUSE}:
                found.add(linked.entry.detail.split(" ", 1)[0])
            elif linked.entry.act is Act.ANOMALY:
                found.add("ANOMALY")
        return found

    def _refused(self) -> list[str]:
        """What ECUs and the Director refused, by check."""
        return sorted({*self.verdict.told, *self.verdict.later, *self.witness.refused})

    def _find(self, goal: Goal, ecu: EcuId, result: Result, *, until: str = "", text: str = "") -> None:
        self.verdict.findings.append(Finding(goal, ecu, result, until, text))
