"""To freeze: let an ECU take old metadata for the newest, for as long as it goes. And to push versions to their end.

Each freeze is held for an hour awake, then over a day and over a year without power; after each it is looked who still
takes what he holds for fresh. An ECU that knows that no time was attested since its power came is not taken in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from primary.needs import Attest, Poll, Polled
from sim.attack.attacker import Attacker
from sim.attack.forge import LASTING_S, VERSION_MAX, Forger, lasting, read
from sim.attack.goals import Goal
from sim.attack.judge import DAY, HOURS, YEAR
from sim.attack.keys import IMAGE_ONLINE, OF_DIRECTOR, OF_IMAGES, Reach, Stolen
from sim.attack.scene import NEXT, VEHICLE
from sim.attack.strategies.denial import LONG_S
from sim.attack.strategies.strategy import Strategy, strategy
from sim.founding import SUPPLIER
from sim.signatures import CODEC
from uptane.link.uds_client import read_nonce
from uptane.link.uds_objects import Object
from uptane.link.uds_values import PRIMARY_ADDRESS
from uptane.model.ids import TOP_TARGETS, EcuId, KeyId, Role
from uptane.model.metadata import Key, Root
from uptane.model.signed import PublicKey, Scheme
from uptane.verify.signing import sign

G = Goal
DAY_S: Final = 25 * 3_600
YEAR_S: Final = 400 * 86_400
TIMED: Final = frozenset({Stolen.TIME, Stolen.DIRECTOR_ROOT})
AIMS: Final = frozenset({G.FREEZE, G.DROP})


def strategies() -> Iterator[Strategy]:
    """All of this file."""
    out = frozenset({Reach.OUT})
    yield strategy("out/freeze", "nothing new, and the true time", freeze_outside, G.FREEZE, reach=Reach.OUT)
    yield strategy(
        "out/freeze without time", "nothing new, and no time at all", freeze_without_time, G.FREEZE, reach=Reach.OUT
    )
    yield Strategy(
        *("out/freeze signed anew", "the old orders, with a life of 20 years", AIMS, out, freeze_signed),
        keys=OF_DIRECTOR,
    )
    yield Strategy(
        *("out/freeze the clock", "nothing new, and always the same time", AIMS, out, freeze_clock), keys=TIMED
    )
    for way, reach, own in (("in", Reach.IN, 0xF1), ("primary", Reach.PRIMARY, PRIMARY_ADDRESS)):
        where = frozenset({reach})
        yield Strategy(
            *(f"{way}/freeze signed anew", "to each Secondary the old orders, with a life of 20 years", AIMS, where),
            partial(freeze_each, own=own),
            keys=OF_DIRECTOR,
        )
        yield Strategy(
            *(f"{way}/freeze the clock", "to each Secondary always the same time", AIMS, where),
            partial(freeze_each_clock, own=own),
            keys=TIMED,
        )
    yield from _forward()


def _forward() -> Iterator[Strategy]:
    forward = frozenset({G.FAST_FORWARD, G.DROP})
    yield Strategy(
        *("out/fast-forward Director", "the highest versions there are", forward, frozenset({Reach.OUT})),
        forward_director,
        keys=OF_DIRECTOR,
    )
    yield Strategy(
        *("out/fast-forward images", "the highest versions there are", forward, frozenset({Reach.OUT})),
        forward_images,
        keys=OF_IMAGES,
    )
    for way, reach, own in (("in", Reach.IN, 0xF1), ("primary", Reach.PRIMARY, PRIMARY_ADDRESS)):
        yield Strategy(
            *(f"{way}/fast-forward", "the highest versions there are, to each Secondary", forward, frozenset({reach})),
            partial(forward_each, own=own),
            keys=OF_DIRECTOR | IMAGE_ONLINE,
        )
    yield Strategy(
        *("out/endless Roots", "a chain of Roots that goes on for ever", frozenset({G.ENDLESS_DATA, G.FAST_FORWARD})),
        *(frozenset({Reach.OUT}), endless_roots),
        keys=frozenset({Stolen.DIRECTOR_ROOT}),
    )


# ---------------------------------------------------------------------------------------------------- holding


def held_out(a: Attacker, again: Callable[[], object] = lambda: None) -> None:
    """An update is ordered, and the attack held; `again` is done whenever the vehicle was switched on."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    a.poll_newest()
    again()
    a.scene.ignition()
    again()
    a.scene.run(3_600)
    a.sample(HOURS)
    for label, seconds in ((DAY, DAY_S), (YEAR, YEAR_S)):
        a.scene.sleep(seconds)
        a.scene.run(5)
        again()
        a.scene.run(LONG_S / 2)
        a.sample(label)


def _nothing_new(a: Attacker) -> None:
    a.outside(Poll, lambda _need, answer: replace(answer, files={}))


def freeze_outside(a: Attacker) -> None:
    """Metadata live for a day."""
    _nothing_new(a)
    held_out(a)


def freeze_without_time(a: Attacker) -> None:
    """A clock that is never set goes on from when it was set last, and not at all without power."""
    _nothing_new(a)
    a.drop(Attest)
    held_out(a)


def freeze_signed(a: Attacker) -> None:
    """Whoever signs Timestamps decides how long they live; something new at each start makes the Primary hand it on."""
    base, ahead = a.newest, 2

    def again() -> None:
        nonlocal ahead
        ahead += 1
        a.speak_as_director(a.forger.director(base, lasting, ahead=ahead, lasts_s=LASTING_S))

    held_out(a, again)


def freeze_clock(a: Attacker) -> None:
    """Whoever attests the time decides when anything expires."""
    began = int(a.scene.clock.utc)
    a.speak_as_time(lambda: began)
    if a.forger.has(Stolen.DIRECTOR_ROOT):
        links = {"2.root": a.forger.root(a.newest.root, Stolen.DIRECTOR_ROOT, take={Role.TIME})}
        a.outside(Poll, lambda need, answer: _with_links(need, answer, links))
    else:
        _nothing_new(a)
    held_out(a)


def _with_links(need: Poll, answer: Polled, links: dict[str, bytes]) -> Polled:
    return replace(answer, files=links if need.held.root < 2 else {})


def freeze_each(a: Attacker, *, own: int) -> None:
    """Behind the Primary's back: what it brings afterwards does not get through."""
    forged = a.forger.director(a.newest, lasting, ahead=3, lasts_s=LASTING_S)
    for ecu in a.others():
        a.session(ecu, own=own)
        a.tell_time(ecu, own=own)
        a.verify(ecu, forged, a.repository, own=own)
        a.close(ecu, own=own)
    a.isolate(own)
    held_out(a, lambda: [a.give_time(ecu, own=own) for ecu in a.others()])


def freeze_each_clock(a: Attacker, *, own: int) -> None:
    """The same time, again and again: it is not earlier than before."""
    began = int(a.scene.clock.utc)
    if a.forger.has(Stolen.DIRECTOR_ROOT):
        root = a.forger.root(a.newest.root, Stolen.DIRECTOR_ROOT, take={Role.TIME})
        for ecu in a.others():
            a.session(ecu, own=own)
            a.put(ecu, Object.DIRECTOR_ROOT, root, own=own)
            a.close(ecu, own=own)
    a.isolate(own)
    held_out(a, lambda: [forge_time(a, ecu, began, own=own) for ecu in a.others()])


def forge_time(a: Attacker, ecu: EcuId, time: int, *, own: int) -> bool:
    """Attest a time to an ECU, as far as he can."""
    a.session(ecu, own=own)
    nonce = a.do(read_nonce(ecu), own)
    if not isinstance(nonce, bytes):
        return False
    taken = a.put(ecu, Object.ATTESTATION, a.forger.attestation(a.newest.root, time, nonce), own=own)
    a.close(ecu, own=own)
    return taken


# ---------------------------------------------------------------------------------------------- fast-forward


def forward_director(a: Attacker) -> None:
    """Nothing is newer than the highest version."""
    forged = a.forger.director(a.newest, lambda targets: targets, ahead=VERSION_MAX)
    a.speak_as_director(forged)
    a.scene.ignition()
    a.scene.run(LONG_S)


def forward_images(a: Attacker) -> None:
    """With an order to make the vehicle look."""
    a.scene.publish(NEXT)
    files = a.repository
    for role in (SUPPLIER, TOP_TARGETS):
        if a.forger.has(Stolen.SUPPLIER if role == SUPPLIER else Stolen.IMAGE_TARGETS):
            files = a.forger.images(files, [], role, ahead=VERSION_MAX)
    if a.forger.has(Stolen.IMAGE_ROOT):
        files = a.forger.images(files, [], TOP_TARGETS, ahead=VERSION_MAX)
    a.speak_as_images(a.forger.listed(files, ahead=VERSION_MAX))
    a.scene.update()
    a.scene.run(LONG_S)


def forward_each(a: Attacker, *, own: int) -> None:
    """Each Secondary by itself."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    base = a.poll_newest()
    forged = a.forger.director(base, lambda targets: targets, ahead=VERSION_MAX)
    images = a.forger.listed(a.repository, ahead=VERSION_MAX)
    for ecu in a.others():
        a.session(ecu, own=own)
        a.tell_time(ecu, own=own)
        a.verify(ecu, forged, images, own=own)
        a.close(ecu, own=own)
    a.scene.run(LONG_S)


def endless_roots(a: Attacker) -> None:
    """Sixty-four links at a time, each as long as it may be, each kept."""
    links: dict[str, bytes] = {}
    root, forger = a.newest.root, a.forger

    def more(held: int) -> None:
        nonlocal root, forger
        while f"{held + 64}.root" not in links:
            root = padded(forger, root)
            forger = Forger({Stolen.DIRECTOR_ROOT: (forger.own,)}, forger.own)
            links[f"{read(root, Root).header.version}.root"] = root

    def change(need: Poll, answer: Polled) -> Polled:
        more(need.held.root)
        return replace(
            answer, files={f"{n}.root": links[f"{n}.root"] for n in range(need.held.root + 1, need.held.root + 65)}
        )

    a.outside(Poll, change)
    a.scene.ignition()
    a.scene.run(LONG_S)


def padded(forger: Forger, octets: bytes) -> bytes:
    """The next Root, with keys in it that nobody has and no role uses."""
    plain = read(forger.root(octets, Stolen.DIRECTOR_ROOT), Root)
    version = plain.header.version
    more = tuple(
        Key(KeyId(bytes((number, *version.to_bytes(7)))), PublicKey(Scheme.ML_DSA_65, bytes((number,)) * 1_952))
        for number in range(28)
    )
    signers = [*forger.signers(Stolen.DIRECTOR_ROOT, ids(octets)), forger.own]
    return sign(
        CODEC, replace(plain, keys=(*plain.keys, *more)), list({each.key_id: each for each in signers}.values())
    )


def ids(octets: bytes) -> tuple[KeyId, ...]:
    """The ids of a Root's own keys."""
    return next(each.key_ids for each in read(octets, Root).roles if each.role is Role.ROOT)
