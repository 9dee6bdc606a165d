"""With an ECU taken over: its software does not run; the attacker has its key, its place on the buses, its way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from primary.needs import Poll, Versions
from sim.attack.attacker import Attacker
from sim.attack.forge import Director, read
from sim.attack.goals import Goal
from sim.attack.keys import Reach
from sim.attack.scene import BODY, BRAKE, CAMERA, HEAD, NEXT, RADAR, RUNS, VEHICLE, filename_of
from sim.attack.strategies.denial import LONG_S
from sim.attack.strategies.forged import LATER
from sim.attack.strategies.orders import ECU, reports_heard
from sim.attack.strategies.strategy import Strategy, strategy
from sim.attack.yes_man import YesMan
from uptane.link.uds_client import Need, Pause, ask_once, download, erase, open_session, read_report, restart
from uptane.link.uds_objects import Object
from uptane.link.uds_values import PRIMARY_ADDRESS, Present, Session, Transfer
from uptane.machine import Workflow
from uptane.model.ids import EcuId
from uptane.model.metadata import DirectorTargets
from uptane.model.reports import EcuReport, EcuState, ManifestEntry, Phase, VehicleManifest
from uptane.verify.image import installed_image

G = Goal
F0 = PRIMARY_ADDRESS
PRIMARY = Reach.PRIMARY
SPLIT = (G.PARTIAL_BUNDLE, G.MIXED_BUNDLES, G.DROP)
WRITES = (G.ARBITRARY, G.ROLLBACK, G.ENDLESS_DATA, G.WRONG_HARDWARE, G.MIX_AND_MATCH, G.FOREIGN)


def strategies() -> Iterator[Strategy]:
    """All of this file."""
    yield strategy("primary/withhold", "hand on nothing", withhold, G.DROP, G.FREEZE, reach=PRIMARY)
    yield strategy("primary/eavesdrop", "keep the images", eavesdrop, G.EAVESDROP, reach=PRIMARY)
    yield strategy("primary/some", "lead one ECU through an update, and no other", some, *SPLIT, reach=PRIMARY)
    yield strategy(
        "primary/two bundles", "one update for these, the next for those", two_bundles, *SPLIT, reach=PRIMARY
    )
    yield strategy("primary/back and forth", "commit all, and order one back", back_and_forth, *SPLIT, reach=PRIMARY)
    yield strategy("primary/other octets", "genuine metadata, other octets", other_octets, *WRITES, reach=PRIMARY)
    yield strategy("primary/old", "all that was once genuine", old, *WRITES, G.FREEZE, G.FAST_FORWARD, reach=PRIMARY)
    yield strategy("primary/erase", "erase, write half, restart, as often as may be", spoil, *WRITES, reach=PRIMARY)
    yield strategy("primary/crawl", "one octet a minute", crawl, G.SLOW, G.DROP, G.ENDLESS_DATA, reach=PRIMARY)
    yield Strategy(
        "primary/lie",
        "manifests with old reports, foreign ones, and forged ones",
        frozenset({G.FALSE_REPORT, G.PARTIAL_BUNDLE}),
        frozenset({PRIMARY}),
        lie,
        keys=ECU,
    )
    for name, reach, ecu in (("full", Reach.FULL, RADAR), ("partial", Reach.PARTIAL, BODY)):
        yield strategy(
            *(f"{name}/say yes", "report success, and do nothing", partial(say_yes, ecu=ecu)),
            *(*SPLIT, G.FALSE_REPORT),
            reach=reach,
        )
        yield strategy(
            *(f"{name}/say no", "never vote", partial(say_no, ecu=ecu)), *(*SPLIT, G.FREEZE, G.SLOW), reach=reach
        )
        yield strategy(
            *(f"{name}/as Primary", "orders and reports for others, signed with its own key", partial(pose, ecu=ecu)),
            *(*SPLIT, G.FALSE_REPORT, *WRITES),
            reach=reach,
        )


# ------------------------------------------------------------------------------------------------- the Primary


def ask_director(a: Attacker, manifest: bytes = b"") -> Director:
    """Poll as the vehicle: the Primary's certificate is his, too."""
    a.scene.servers.director.poll(VEHICLE, Poll(b"", manifest, Versions(0, 0, 0, 0)))
    return a.newest


def withhold(a: Attacker) -> None:
    """The Secondaries hear nothing."""
    a.needs(PRIMARY)
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    ask_director(a)
    a.scene.run(LONG_S)


def eavesdrop(a: Attacker) -> None:
    """Whoever hands images on has them."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    ask_director(a)
    for ecu in a.others():
        a.copies[ecu] = a.image(filename_of(ecu, NEXT)).sha256
        assert a.octets_of(filename_of(ecu, NEXT))
    a.scene.run(60)


def prepare(a: Attacker, ecu: EcuId, director: Director, octets: bytes) -> None:
    """As a Primary does: time, metadata, image, all of it genuine."""
    a.session(ecu, own=F0)
    a.tell_time(ecu, own=F0)
    a.verify(ecu, director, a.repository, own=F0)
    a.flash(ecu, octets, own=F0, restart_it=False)


def lead(a: Attacker, ecu: EcuId, director: Director, *phases: Phase) -> None:
    """Orders with the coordinator's own key, and the restart behind the first."""
    for phase in phases:
        a.session(ecu, Session.PROGRAMMING if phase is Phase.ACTIVATE else Session.EXTENDED, own=F0)
        a.put(ecu, Object.ORDER, a.forger.order(director.targets, phase, a.ecu_key(HEAD)), own=F0)
        if phase is Phase.ACTIVATE:
            a.do(restart(ecu), F0)
            a.first_to_be("voted", ecu, seconds=30)
        a.close(ecu, own=F0)


ALL_PHASES = (Phase.ACTIVATE, Phase.COMMIT, Phase.RELEASE)


def some(a: Attacker) -> None:
    """One ECU runs the new bundle, for good."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    director = ask_director(a)
    prepare(a, BRAKE, director, a.octets_of(filename_of(BRAKE, NEXT)))
    lead(a, BRAKE, director, *ALL_PHASES)
    a.scene.run(LONG_S)


def two_bundles(a: Attacker) -> None:
    """Each of the two was issued, to this vehicle, and has not expired."""
    rounds = {BRAKE: NEXT, CAMERA: NEXT, BODY: LATER, RADAR: LATER}
    for number in (NEXT, LATER):
        a.scene.publish(number)
        a.scene.assign(VEHICLE, number)
        director = ask_director(a)
        for ecu in (each for each, wanted in rounds.items() if wanted == number):
            prepare(a, ecu, director, a.octets_of(filename_of(ecu, number)))
            lead(a, ecu, director, *ALL_PHASES)
    a.scene.run(LONG_S)


def back_and_forth(a: Attacker) -> None:
    """The others are released."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    director = ask_director(a)
    for ecu in a.others():
        prepare(a, ecu, director, a.octets_of(filename_of(ecu, NEXT)))
        lead(a, ecu, director, Phase.ACTIVATE, Phase.COMMIT)
    for ecu in a.others():
        lead(a, ecu, director, Phase.ROLL_BACK if ecu in {BODY, RADAR} else Phase.RELEASE)
        a.session(ecu, Session.PROGRAMMING, own=F0)
        a.do(restart(ecu), F0)
    a.scene.run(LONG_S)


def other_octets(a: Attacker) -> None:
    """What was never signed, what is older, what is for others, in place of what is assigned."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    director = ask_director(a)
    swap = {BRAKE: BODY, BODY: BRAKE, CAMERA: RADAR, RADAR: CAMERA}
    for ecu in a.others():
        for octets in (
            b"\xee" * 600,
            a.octets_of(filename_of(ecu, 1)),
            a.octets_of(filename_of(swap[ecu], NEXT)),
            a.octets_of(filename_of(ecu, NEXT)) + bytes(64),
        ):
            prepare(a, ecu, director, octets)
            lead(a, ecu, director, Phase.ACTIVATE)
    a.scene.run(LONG_S)


def old(a: Attacker) -> None:
    """Older Targets and Roots, another vehicle's, and the images that go with them."""
    for given in (*a.scene.seen.sets[:-1], *a.scene.seen.foreign):
        for ecu in a.others():
            a.session(ecu, own=F0)
            a.tell_time(ecu, own=F0)
            a.verify(ecu, given, a.scene.seen.repository[0], own=F0)
            a.flash(ecu, a.octets_of(filename_of(ecu, 1)), own=F0)
            a.close(ecu, own=F0)
    a.scene.run(LONG_S)


def spoil(a: Attacker) -> None:
    """With two slots, what is spoilt is not what runs."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    director = ask_director(a)
    for ecu in a.others():
        a.session(ecu, own=F0)
        a.tell_time(ecu, own=F0)
        a.verify(ecu, director, a.repository, own=F0)
        for _ in range(6):
            a.session(ecu, Session.PROGRAMMING, own=F0)
            a.do(erase(ecu), F0)
            a.flash(ecu, b"\x00" * 600, own=F0)
            a.do(restart(ecu), F0)
            a.scene.run(1)
    a.scene.ignition()
    a.scene.run(LONG_S)


def crawl(a: Attacker) -> None:
    """A transfer that is kept alive and gets nowhere."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    director = ask_director(a)
    for ecu in a.others():
        a.session(ecu, own=F0)
        a.tell_time(ecu, own=F0)
        a.verify(ecu, director, a.repository, own=F0)
        a.do(_dribble(ecu, a.octets_of(filename_of(ecu, NEXT))), F0)
    ask_director(a, current_manifest(a))
    a.scene.run(60)


def _dribble(ecu: EcuId, octets: bytes) -> Workflow[Need, None]:
    yield from open_session(ecu, Session.PROGRAMMING)
    yield from erase(ecu)
    yield from download(ecu, 0, len(octets))
    for counter in range(1, 40):
        yield from ask_once(ecu, Transfer(counter, octets[counter : counter + 1]))
        for _ in range(15):
            yield Pause(4_000)
            yield from ask_once(ecu, Present())


def current_manifest(a: Attacker, **reports: bytes) -> bytes:
    """A manifest of what ECUs say now, signed with the Primary's key; `reports` by the ECU's kind take their place."""
    last = read(a.scene.seen.manifests[-1], VehicleManifest)
    entries = []
    for entry in last.entries:
        said = reports.get(entry.ecu.rpartition("-")[0])
        if said is None and entry.ecu in a.others():
            answer = a.tester(F0).do(read_report(entry.ecu))
            said = answer if isinstance(answer, bytes) else None
        entries.append(ManifestEntry(entry.ecu, said or entry.report, entry.silent_since))
    a.manifests += 1
    lie = replace(last, counter=last.counter + a.manifests, entries=tuple(entries))
    return a.forger.signed(lie, a.ecu_key(HEAD))


def lie(a: Attacker) -> None:
    """The manifest is his to sign; the reports in it are not."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    director = ask_director(a)
    image = a.image(filename_of(BRAKE, NEXT))
    said = a.tester(F0).do(read_report(BRAKE))
    assert isinstance(said, bytes)
    before = read(said, EcuReport)
    forged = replace(
        before,
        counter=before.counter + 500,
        state=EcuState.RELEASED,
        targets_version=read(director.targets, DirectorTargets).header.version,
        image=installed_image(image),
    )
    key = a.ecu_key(BRAKE) if a.has_key_of(BRAKE) else a.ecu_key(HEAD)
    heard = reports_heard(a)
    for report in (a.forger.signed(forged, key), *heard[:3], *heard[-2:], *_foreign_reports(a)):
        ask_director(a, current_manifest(a, brake=report))
    ask_director(a, a.scene.seen.foreign_manifests[-1])
    ask_director(
        a, a.forger.signed(replace(read(a.scene.seen.manifests[0], VehicleManifest), counter=2**31), a.ecu_key(HEAD))
    )
    a.scene.run(60)


def _foreign_reports(a: Attacker) -> list[bytes]:
    """Reports of the other vehicle's ECUs."""
    entries = read(a.scene.seen.foreign_manifests[-1], VehicleManifest).entries
    return [entry.report for entry in entries if entry.report is not None and entry.ecu.startswith("brake")]


# ------------------------------------------------------------------------------------------------- a Secondary


def say_yes(a: Attacker, *, ecu: EcuId) -> None:
    """Its own report is its own word; the others' are not."""
    YesMan(a, ecu).take_over()
    a.scene.update()
    a.scene.run(LONG_S)


def say_no(a: Attacker, *, ecu: EcuId) -> None:
    """It takes all, and does not come up in time."""
    yes_man = YesMan(a, ecu)
    yes_man.votes = False
    yes_man.take_over()
    a.scene.update()
    a.scene.run(LONG_S)


def pose(a: Attacker, *, ecu: EcuId) -> None:
    """Whatever it signs, it signs as itself."""
    a.scene.update()
    a.first_to_be("voted")
    for other in a.others():
        a.session(other, own=F0)
        for phase in (Phase.ROLL_BACK, Phase.COMMIT, Phase.RELEASE):
            a.put(other, Object.ORDER, a.forger.order(a.newest.targets, phase, a.ecu_key(ecu)), own=F0)
        a.flash(other, a.octets_of(filename_of(other, RUNS)), own=F0)
        a.close(other, own=F0)
    for other in a.others()[:1]:
        yes_man = YesMan(a, other)
        yes_man.report = a.forger.signed(replace(read(yes_man.report, EcuReport), counter=2**31), a.ecu_key(ecu))
        yes_man.status = replace(yes_man.status, report_counter=2**31)
        yes_man.take_over()
    a.scene.run(LONG_S)
