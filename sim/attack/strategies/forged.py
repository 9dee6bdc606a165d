"""To forge: what the Director and the Image repository say, signed with whatever was stolen, and all of it served.

A scheme says what the forger wants ECUs to install. He has three ways to bring it about: from outside through the
honest Primary, on the bus to each Secondary, as a workshop would, or as the Primary. Where he lacks keys he tries all
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from primary.needs import Poll, Polled
from sim.attack.attacker import Attacker
from sim.attack.forge import VERSION_MAX, Director, only_entries, with_entries
from sim.attack.goals import Goal
from sim.attack.keys import OF_DIRECTOR, OF_IMAGES, Reach, Stolen
from sim.attack.scene import (
    BODY,
    BRAKE,
    CAMERA,
    ECUS,
    ELSEWHERE,
    HEAD,
    IMAGE_LENGTH,
    NEXT,
    RADAR,
    RUNS,
    SUPPLIED,
    VEHICLE,
    filename_of,
    hardware_of,
)
from sim.attack.strategies.denial import LONG_S
from sim.attack.strategies.strategy import Strategy
from sim.founding import SUPPLIER
from sim.signatures import CODEC, HASHER
from uptane.link.uds_values import PRIMARY_ADDRESS
from uptane.model.ids import TOP_TARGETS, EcuId, Filename
from uptane.model.metadata import DirectorTargets, Image

G = Goal
FORGED: Final = 77  # the round of images that only the forger knows
LATER: Final = 5  # a second honest update
ALL: Final = frozenset(ECUS)


@dataclass(slots=True)
class Forgery:
    """What is to be installed: images by ECU, those that the Image repository does not know so, and their octets."""

    entries: dict[EcuId, Image] = field(default_factory=dict)
    unknown: list[Image] = field(default_factory=list)
    blobs: dict[bytes, bytes] = field(default_factory=dict)

    def add(self, ecu: EcuId, filename: Filename, octets: bytes, counter: int) -> None:
        """An image that nobody published so, described as if it were for the hardware of `ecu`."""
        digest = HASHER.sha256(octets)
        image = CODEC.image(Image(filename, len(octets), digest, None, (hardware_of(ecu),), counter, b""))
        self.entries[ecu] = image
        self.unknown.append(image)
        self.blobs[digest] = octets


Build = Callable[[Attacker, frozenset[EcuId]], Forgery]


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the forger wants. `images`: it takes the Image repository's word as well; `hidden`: nobody must hear."""

    name: str
    text: str
    aims: tuple[Goal, ...]
    build: Build
    images: bool = False
    hidden: bool = False


# ----------------------------------------------------------------------------------------------------- schemes


def malware(_a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """Octets of his own."""
    forgery = Forgery()
    for ecu in sorted(ecus):
        octets = (f"malware for {ecu} ".encode() * 64)[:IMAGE_LENGTH]
        forgery.add(ecu, filename_of(ecu, FORGED), octets, NEXT)
    return forgery


def rollback(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """What it left the factory with, under a newer name and a higher release counter."""
    forgery = Forgery()
    for ecu in sorted(ecus):
        forgery.add(ecu, filename_of(ecu, FORGED), a.octets_of(filename_of(ecu, 1)), NEXT)
    return forgery


def old_entries(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """What it left the factory with, as the Image repository describes it to this day."""
    return Forgery({ecu: a.image(filename_of(ecu, 1)) for ecu in sorted(ecus)})


def mix(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """Genuine images for the right hardware that were never meant for this vehicle."""
    return Forgery({ecu: a.image(filename_of(ecu, ELSEWHERE)) for ecu in sorted(ecus)})


_SWAP: Final = {BRAKE: BODY, BODY: BRAKE, CAMERA: RADAR, RADAR: CAMERA, HEAD: RADAR}


def hardware(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """Genuine octets for other hardware, described as if they were for this."""
    forgery = Forgery()
    for ecu in sorted(ecus):
        octets = a.octets_of(filename_of(_SWAP[ecu], ELSEWHERE))
        forgery.add(ecu, filename_of(ecu, FORGED), octets, NEXT)
    return forgery


def plain_hardware(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """Genuine images for other hardware, as the Image repository describes them."""
    return Forgery({ecu: a.image(filename_of(_SWAP[ecu], ELSEWHERE)) for ecu in sorted(ecus)})


def counter(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """What it runs, under the highest release counter there is: nothing honest ever comes above it."""
    forgery = Forgery()
    for ecu in sorted(ecus):
        octets = a.octets_of(filename_of(ecu, RUNS))
        forgery.add(ecu, filename_of(ecu, RUNS), octets, VERSION_MAX)
    return forgery


def subset(a: Attacker, _ecus: frozenset[EcuId]) -> Forgery:
    """Of an honest update, one ECU's part."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    a.poll_newest()
    return Forgery({ecu: a.image(filename_of(ecu, NEXT if ecu == BRAKE else RUNS)) for ecu in ECUS})


def split(a: Attacker, _ecus: frozenset[EcuId]) -> Forgery:
    """Of two honest updates, half each."""
    for number in (NEXT, LATER):
        a.scene.publish(number)
        a.scene.assign(VEHICLE, number)
        a.poll_newest()
    rounds = {BRAKE: NEXT, CAMERA: NEXT, BODY: LATER, RADAR: LATER, HEAD: LATER}
    return Forgery({ecu: a.image(filename_of(ecu, number)) for ecu, number in rounds.items()})


def huge(a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """Images of four gigabytes."""
    forgery = Forgery()
    for ecu in sorted(ecus):
        known = a.image(filename_of(ecu, ELSEWHERE))
        image = CODEC.image(replace(known, length=VERSION_MAX, octets=b""))
        forgery.entries[ecu] = image
        forgery.unknown.append(image)
    return forgery


def poached(_a: Attacker, ecus: frozenset[EcuId]) -> Forgery:
    """Octets of his own under the supplier's paths, for hardware that the supplier does not build."""
    forgery = Forgery()
    for ecu in sorted(ecus):
        octets = (f"poached for {ecu} ".encode() * 64)[:IMAGE_LENGTH]
        kind = ecu.rpartition("-")[0]
        forgery.add(ecu, Filename(f"supplier/{kind}-{FORGED}"), octets, NEXT)
    return forgery


POACHED: Final = Scheme("malware", "the supplier's role, for others' hardware", (G.ARBITRARY,), poached, images=True)

SCHEMES: Final = (
    Scheme("malware", "octets of the forger's", (G.ARBITRARY,), malware, images=True),
    Scheme("rollback", "the factory's images, newly named and counted", (G.ROLLBACK,), rollback, images=True),
    Scheme("other hardware", "images for other hardware, newly named", (G.WRONG_HARDWARE,), hardware, images=True),
    Scheme("counter", "the highest release counter there is", (G.FAST_FORWARD, G.DROP), counter, images=True),
    Scheme("old entries", "the factory's images, as they were", (G.ROLLBACK, G.MIX_AND_MATCH), old_entries),
    Scheme("mix", "genuine images, for this hardware, never assigned", (G.MIX_AND_MATCH,), mix),
    Scheme("plain hardware", "genuine images for other hardware", (G.WRONG_HARDWARE, G.MIX_AND_MATCH), plain_hardware),
    Scheme("subset", "one ECU's part of an update", (G.PARTIAL_BUNDLE, G.DROP), subset, hidden=True),
    Scheme("split", "half of one update and half of the next", (G.MIXED_BUNDLES, G.PARTIAL_BUNDLE), split, hidden=True),
    Scheme("huge", "images of four gigabytes", (G.ENDLESS_DATA, G.SLOW, G.DROP), huge),
)


# -------------------------------------------------------------------------------------------------------- ways


def strategies() -> Iterator[Strategy]:
    """Each scheme, each way; with images of the supplier's alone where only its keys may be at hand."""
    for scheme in SCHEMES:
        yield from _ways(scheme, ALL, "")
        if scheme.images:
            yield from _ways(scheme, SUPPLIED, " supplied")
    yield from _ways(POACHED, frozenset({RADAR, BODY}), " poached")
    yield Strategy(
        "in/forge malware under the same version",
        "other Targets of the version that ECUs hold",
        frozenset({G.ARBITRARY, G.MIX_AND_MATCH}),
        frozenset({Reach.IN}),
        partial(as_workshop, scheme=SCHEMES[0], ecus=ALL, ahead=0),
        keys=OF_DIRECTOR,
    )
    yield from _under()


def _under() -> Iterator[Strategy]:
    """With the key of Targets alone, below a Snapshot and a Timestamp that are true."""
    for scheme in SCHEMES:
        if scheme.name in {"mix", "malware"}:
            yield Strategy(
                f"out/forge {scheme.name} under a true Snapshot",
                "other Targets of the version that the true Snapshot lists",
                frozenset({*scheme.aims, G.MIX_AND_MATCH}),
                frozenset({Reach.OUT}),
                partial(under_snapshot, scheme=scheme),
                keys=frozenset({Stolen.DIRECTOR_TARGETS}),
            )


def _ways(scheme: Scheme, ecus: frozenset[EcuId], suffix: str) -> Iterator[Strategy]:
    keys = OF_DIRECTOR | (OF_IMAGES if scheme.images else frozenset())
    needs = frozenset({Stolen.SUPPLIER}) if suffix else frozenset[Stolen]()
    for way, reach, act in (
        ("out", Reach.OUT, through_primary),
        ("in", Reach.IN, as_workshop),
        ("primary", Reach.PRIMARY, as_primary),
    ):
        yield Strategy(
            f"{way}/forge {scheme.name}{suffix}",
            scheme.text,
            frozenset(scheme.aims),
            frozenset({reach}),
            partial(act, scheme=scheme, ecus=ecus),
            keys=keys,
            needs=needs,
        )


def through_primary(a: Attacker, *, scheme: Scheme, ecus: frozenset[EcuId]) -> None:
    """The honest Primary verifies, downloads, hands on, and gives the orders. What it tells the Director is lost."""
    forgery = scheme.build(a, ecus)
    forged = a.forger.director(a.newest, lambda targets: with_entries(targets, forgery.entries), ahead=4)
    a.speak_as_director(forged)
    a.speak_as_images(images_of(a, forgery), forgery.blobs)
    if scheme.hidden:
        a.on_the_way(Poll, lambda need: replace(need, manifest=b""))
    a.scene.ignition()
    a.scene.run(LONG_S)


def under_snapshot(a: Attacker, *, scheme: Scheme) -> None:
    """An honest update brings a true Snapshot; the Targets it lists are exchanged on the way."""
    forgery = scheme.build(a, frozenset({BRAKE, BODY}))

    def change(_need: Poll, answer: Polled) -> Polled:
        files = dict(answer.files)
        for name, octets in answer.files.items():
            if name.endswith(".targets"):
                base = replace(a.newest, targets=octets)
                wanted = a.forger.director(base, lambda targets: with_entries(targets, forgery.entries), ahead=0)
                files[name] = wanted.targets
        return replace(answer, files=files)

    a.outside(Poll, change)
    a.speak_as_images(images_of(a, forgery), forgery.blobs)
    a.scene.update(CAMERA)
    a.scene.run(LONG_S)


def as_workshop(a: Attacker, *, scheme: Scheme, ecus: frozenset[EcuId], own: int = 0xF1, ahead: int = 4) -> None:
    """To each Secondary by itself: Targets without a coordinator, under which it decides for itself."""
    forgery = scheme.build(a, ecus)
    images = images_of(a, forgery)
    base = a.newest

    def alone(targets: DirectorTargets) -> DirectorTargets:
        return replace(only_entries(targets, forgery.entries), coordinator=None)

    forged = a.forger.director(base, alone, ahead=ahead)
    for ecu in a.others():
        if ecu in forgery.entries:
            flash_under(a, ecu, forged, images, octets=octets_for(a, forgery, ecu), own=own)
    a.scene.run(LONG_S)


def as_primary(a: Attacker, *, scheme: Scheme, ecus: frozenset[EcuId]) -> None:
    """Under the Primary's address, whose own software does not run."""
    as_workshop(a, scheme=scheme, ecus=ecus, own=PRIMARY_ADDRESS)


def flash_under(
    a: Attacker, ecu: EcuId, director: Director, images: Mapping[str, bytes], *, octets: bytes, own: int
) -> None:
    """One Secondary: session, time, metadata, image, restart."""
    a.session(ecu, own=own)
    a.tell_time(ecu, own=own)
    a.verify(ecu, director, images, own=own)
    a.flash(ecu, octets, own=own)


def octets_for(a: Attacker, forgery: Forgery, ecu: EcuId) -> bytes:
    """What is to be written for an entry: as much of it as there is."""
    image = forgery.entries[ecu]
    return forgery.blobs.get(image.sha256) or a.scene.seen.blobs[image.sha256]


def images_of(a: Attacker, forgery: Forgery) -> Mapping[str, bytes]:
    """The Image repository's files by role, with what it does not know, signed as far as keys go."""
    files = a.repository
    top = a.forger.has(Stolen.IMAGE_TARGETS) or a.forger.has(Stolen.IMAGE_ROOT)  # it speaks before all it delegates to
    for role in (SUPPLIER, TOP_TARGETS):
        images = [
            image
            for image in forgery.unknown
            if (not top and image.filename.startswith("supplier/")) is (role == SUPPLIER)
        ]
        if images:
            files = a.forger.images(files, images, role)
    return files
