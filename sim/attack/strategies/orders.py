"""To give orders, to tell the time, to report in others' names: with keys of ECUs, with the time's, and without any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from primary.needs import Attest, FetchBlock, Poll
from sim.attack.attacker import Attacker
from sim.attack.forge import read
from sim.attack.goals import Goal
from sim.attack.keys import Reach, Stolen
from sim.attack.outsider import lost
from sim.attack.scene import BODY, BRAKE, HEAD, NEXT, RADAR, filename_of
from sim.attack.strategies.denial import LONG_S
from sim.attack.strategies.freeze import TIMED, forge_time
from sim.attack.strategies.strategy import Strategy, strategy
from sim.attack.yes_man import YesMan
from uptane.link.uds_client import read_nonce, restart
from uptane.link.uds_objects import Object
from uptane.link.uds_values import Session
from uptane.model.ids import EcuId, Role
from uptane.model.reports import EcuReport, EcuState, ManifestEntry, Phase, VehicleManifest
from uptane.ports import Signer
from uptane.verify.image import installed_image

G = Goal
IN, OUT = frozenset({Reach.IN}), frozenset({Reach.OUT})
ECU: Final = frozenset({Stolen.ECU})
SPLIT: Final = frozenset({G.PARTIAL_BUNDLE, G.MIXED_BUNDLES, G.DROP})
REPORT: Final = frozenset({G.FALSE_REPORT, G.PARTIAL_BUNDLE})
TIME: Final = frozenset({G.FALSE_TIME, G.FREEZE})
TEN_YEARS_S: Final = 10 * 365 * 86_400
SIX_HOURS_S: Final = 6 * 3_600


def strategies() -> Iterator[Strategy]:
    """All of this file."""
    for name, text, act in (
        ("roll one back", "once one has voted, order it back", roll_one_back),
        ("roll back the committed", "once one is to commit, order it back", roll_back_committed),
        ("activate one", "once all are prepared, order one to activate, commit and release", activate_one),
        ("release early", "order release and commit before anything", release_early),
    ):
        yield Strategy(f"in/order: {name}", text, SPLIT, IN, act, keys=ECU)
    yield strategy(
        *("in+out/bind to newer", "in the middle of an update, genuine newer Targets to one ECU", bind_to_newer),
        *(*SPLIT, G.FAST_FORWARD),
        reach=(Reach.IN, Reach.OUT),
    )
    for ecu in (BODY, RADAR):
        yield Strategy(
            *(f"in/report for {ecu}", "answer in its place, and sign what is wanted", REPORT | SPLIT, IN),
            partial(report_for, ecu=ecu),
            keys=ECU,
            needs=ECU,
        )
    yield Strategy(
        *("out/forge the manifest", "all ECUs run what was ordered, says the manifest", REPORT, OUT, forge_manifest),
        keys=ECU,
    )
    yield strategy("out/replay manifests", "older manifests, and another vehicle's", replay, *REPORT, reach=Reach.OUT)
    yield strategy("in/replay reports", "older reports, and other ECUs'", replay_reports, *REPORT, reach=Reach.IN)
    yield from _time()


def _time() -> Iterator[Strategy]:
    yield Strategy(
        *("out/future", "attest a time ten years ahead", TIME | {G.FAST_FORWARD, G.DROP}, OUT, future_outside),
        keys=TIMED,
    )
    yield Strategy(
        *("out/ahead", "attest a time six hours ahead: nothing has expired then", TIME, OUT, ahead_outside),
        keys=TIMED,
    )
    yield Strategy(
        *("in/future", "attest a time ten years ahead to each Secondary", TIME | {G.FAST_FORWARD}, IN, future_inside),
        keys=TIMED,
    )
    yield strategy("out/old time", "attestations given before, and for other nonces", old_time, *TIME, reach=Reach.OUT)
    yield strategy("in/old time", "the same, to each Secondary", old_time_inside, *TIME, reach=Reach.IN)
    yield strategy("in/late time", "a true attestation, handed on two hours later", late_time, *TIME, reach=Reach.IN)


# ------------------------------------------------------------------------------------------------------ orders


def _coordinator(a: Attacker) -> Signer | None:
    return a.ecu_key(HEAD) if a.has_key_of(HEAD) else None


def order(a: Attacker, ecu: EcuId, phase: Phase, session: Session = Session.EXTENDED) -> bool:
    """Give an order, signed as well as he can."""
    a.session(ecu, session)
    return a.put(ecu, Object.ORDER, a.forger.order(a.newest.targets, phase, _coordinator(a)))


def roll_one_back(a: Attacker) -> None:
    """The others go on."""
    a.scene.update()
    first = a.first_to_be("voted")
    if first is not None:
        _insist(a, first, Phase.ROLL_BACK)
    a.scene.run(LONG_S)


def roll_back_committed(a: Attacker) -> None:
    """After commit there is only forward, for all but him."""
    a.scene.update()
    first = a.first_to_be("committed", RADAR, BODY)
    if first is not None:
        _insist(a, first, Phase.ROLL_BACK)
    a.scene.run(LONG_S)


def _insist(a: Attacker, ecu: EcuId, phase: Phase) -> None:
    for _ in range(8):
        if order(a, ecu, phase):
            break
        a.scene.run(0.2)
    a.session(ecu, Session.PROGRAMMING)
    a.do(restart(ecu))
    a.close(ecu)


def activate_one(a: Attacker) -> None:
    """The Primary is kept away meanwhile."""
    a.scene.update()
    a.first_to_be("prepared", BRAKE)
    a.isolate(0xF1)
    a.tell_time(BRAKE)
    order(a, BRAKE, Phase.ACTIVATE, Session.PROGRAMMING)
    a.do(restart(BRAKE))
    a.first_to_be("voted", BRAKE, seconds=30)
    order(a, BRAKE, Phase.COMMIT)
    order(a, BRAKE, Phase.RELEASE)
    a.scene.run(LONG_S)


def release_early(a: Attacker) -> None:
    """Each phase in the wrong place."""
    a.scene.update()
    a.first_to_be("prepared")
    for ecu in a.others():
        for phase in (Phase.RELEASE, Phase.COMMIT, Phase.ACTIVATE):
            order(a, ecu, phase)
        a.close(ecu)
    a.scene.run(LONG_S)


def bind_to_newer(a: Attacker) -> None:
    """The Director signs anew what nears its end; whoever holds that back has newer Targets than the vehicle."""
    a.outside(FetchBlock, lambda need, answer: lost(need) if a.holding else answer)
    a.holding = True
    a.scene.update()
    a.scene.run(300)
    a.outside(Poll, lambda _need, answer: replace(answer, files={}))
    a.scene.run(19 * 3_600)
    newer = a.poll_newest()
    a.holding = False
    a.scene.ignition()
    first = a.first_to_be("trial", seconds=1_800)
    a.say(f"the first is {first}; Targets {newer.says.header.version}")
    for ecu in a.others():
        if ecu != first and a.state_of(ecu) == "prepared":
            a.session(ecu)
            a.tell_time(ecu)
            a.verify(ecu, newer, a.repository)
            a.close(ecu)
    a.scene.run(LONG_S)


# ----------------------------------------------------------------------------------------------------- reports


def report_for(a: Attacker, *, ecu: EcuId) -> None:
    """The ECU is cut off, and signs all the same."""
    YesMan(a, ecu).take_over()
    a.scene.update()
    a.scene.run(LONG_S)


def forge_manifest(a: Attacker) -> None:
    """The vehicle gets no images, and the Director hears that all went well."""
    a.scene.publish(NEXT)
    times = 0

    def told(entry: ManifestEntry) -> ManifestEntry:
        assert entry.report is not None
        report = read(entry.report, EcuReport)
        image = installed_image(a.image(filename_of(entry.ecu, NEXT)))
        targets = a.newest.says
        lie = replace(
            report,
            counter=report.counter + 1_000 * times,
            state=EcuState.RELEASED,
            targets_version=targets.header.version,
            image=image,
        )
        return replace(entry, report=a.forger.signed(lie, _key(a, entry.ecu)), silent_since=None)

    def change(need: Poll) -> Poll:
        nonlocal times
        if not need.manifest:
            return need
        times += 1
        before = read(need.manifest, VehicleManifest)
        entries = tuple(told(entry) if entry.report else entry for entry in before.entries)
        lie = replace(before, counter=before.counter + 1_000 * times, entries=entries)
        return replace(need, manifest=a.forger.signed(lie, _key(a, HEAD)))

    a.on_the_way(Poll, change)
    a.outside(Poll, lambda _need, answer: replace(answer, manifest_wanted=True, files={}))
    a.scene.update()
    a.scene.run(LONG_S)


def _key(a: Attacker, ecu: EcuId) -> Signer | None:
    return a.ecu_key(ecu) if a.has_key_of(ecu) else None


def replay(a: Attacker) -> None:
    """Whatever was said once is said again, in the place of what is said now."""
    old = [*a.scene.seen.manifests[:4], *a.scene.seen.manifests[-2:], *a.scene.seen.foreign_manifests[-2:]]
    said = iter(old * 8)
    a.on_the_way(Poll, lambda need: replace(need, manifest=next(said)) if need.manifest else need)
    a.scene.update()
    a.scene.run(LONG_S)


def replay_reports(a: Attacker) -> None:
    """Reports heard on the buses, of the ECU itself and of its neighbours."""
    heard = reports_heard(a)
    a.say(f"{len(heard)} reports were heard")
    given: dict[EcuId, int] = {}
    for ecu in (BODY, RADAR):
        yes_man = YesMan(a, ecu)
        yes_man.take_over()

        def reply(request: bytes, ecu: EcuId = ecu, man: YesMan = yes_man) -> bytes | None:
            man.status = replace(man.status, report_counter=man.status.report_counter + 1)
            if request[:3] == b"\x22\xfd\x01" and heard:
                given[ecu] = given.get(ecu, 0) + 1
                return request_echo(request) + heard[given[ecu] % len(heard)]
            return man.answer(request)

        a.answer_with(ecu, reply)
    a.scene.update()
    a.scene.run(LONG_S)


def request_echo(request: bytes) -> bytes:
    """The beginning of a positive answer to a read."""
    return bytes((request[0] + 0x40,)) + request[1:3]


def reports_heard(a: Attacker) -> list[bytes]:
    """Every report that passed on the buses."""
    messages = [octets for tap in a.scene.taps.values() for _source, _target, octets in tap.messages]
    return list(dict.fromkeys(octets[3:] for octets in messages if octets[:3] == b"\x62\xfd\x01"))


# -------------------------------------------------------------------------------------------------------- time


def future_outside(a: Attacker) -> None:
    """All that is signed has expired then."""
    _ahead(a, TEN_YEARS_S)


def ahead_outside(a: Attacker) -> None:
    """The Primary hands it on with the next update."""
    _ahead(a, SIX_HOURS_S)


def _ahead(a: Attacker, seconds: int) -> None:
    a.speak_as_time(lambda: int(a.scene.clock.utc) + seconds)
    if a.forger.has(Stolen.DIRECTOR_ROOT):
        links = {"2.root": a.forger.root(a.newest.root, Stolen.DIRECTOR_ROOT, take={Role.TIME})}
        a.outside(
            Poll, lambda need, answer: replace(answer, files=answer.files | (links if need.held.root < 2 else {}))
        )
    a.scene.update()
    a.scene.run(LONG_S)


def future_inside(a: Attacker) -> None:
    """Each Secondary by itself."""
    for ecu in a.others():
        if a.forger.has(Stolen.DIRECTOR_ROOT):
            a.session(ecu)
            a.put(ecu, Object.DIRECTOR_ROOT, a.forger.root(a.newest.root, Stolen.DIRECTOR_ROOT, take={Role.TIME}))
        forge_time(a, ecu, int(a.scene.clock.utc) + TEN_YEARS_S, own=0xF1)
    a.scene.update()
    a.scene.run(LONG_S)


def old_time(a: Attacker) -> None:
    """The time service answers anybody, for any nonce."""
    kept = a.scene.servers.time.attest(tuple(bytes((number,)) * 16 for number in range(8)))
    a.scene.run(3_600)
    a.outside(Attest, lambda need, _answer: kept[: len(need.nonces)])
    a.scene.update()
    a.scene.run(LONG_S)


def old_time_inside(a: Attacker) -> None:
    """What was heard on the buses, and what is for another's nonce."""
    heard = [octets for tap in a.scene.taps.values() for item, octets in tap.objects() if item is Object.ATTESTATION]
    a.say(f"{len(heard)} attestations were heard")
    for ecu in a.others():
        a.session(ecu)
        for octets in heard[-3:]:
            a.put(ecu, Object.ATTESTATION, octets)
        other = next(each for each in a.others() if each != ecu)
        nonce = a.do(read_nonce(other))
        if isinstance(nonce, bytes):
            a.put(ecu, Object.ATTESTATION, a.scene.servers.time.attest((nonce,))[0])
        a.close(ecu)
    a.scene.run(LONG_S)


def late_time(a: Attacker) -> None:
    """The nonce is what the ECU asks with, as long as nobody has answered."""
    kept: dict[EcuId, bytes] = {}
    for ecu in a.others():
        nonce = a.do(read_nonce(ecu))
        if isinstance(nonce, bytes):
            (kept[ecu],) = a.scene.servers.time.attest((nonce,))
    a.isolate(0xF1)
    a.scene.run(7_200)
    for ecu, octets in kept.items():
        a.session(ecu)
        a.put(ecu, Object.ATTESTATION, octets)
        a.close(ecu)
    a.scene.run(60)
