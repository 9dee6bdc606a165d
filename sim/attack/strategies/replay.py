"""To replay and to mix: older files, other vehicles' files, files and octets that do not belong together. No keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from primary.needs import FetchBlock, FetchMetadata, Poll, Polled
from sim.attack.attacker import Attacker
from sim.attack.forge import Director, Forger
from sim.attack.goals import Goal
from sim.attack.keys import Reach
from sim.attack.outsider import named_files
from sim.attack.scene import BRAKE, ECUS, ELSEWHERE, NEXT, RADAR, RUNS, Scene, filename_of
from sim.attack.strategies.denial import LONG_S
from sim.attack.strategies.strategy import Strategy, strategy
from sim.signatures import CODEC
from uptane.link.uds_objects import Object
from uptane.model.reports import Phase
from uptane.model.signed import Signature

G = Goal
OLD = (G.ROLLBACK, G.FREEZE, G.MIX_AND_MATCH, G.MIXED_BUNDLES, G.FAST_FORWARD)
ODD = (G.ARBITRARY, G.ROLLBACK, G.MIX_AND_MATCH, G.WRONG_HARDWARE, G.ENDLESS_DATA)


def strategies() -> Iterator[Strategy]:
    """All of this file."""
    out = Reach.OUT
    yield strategy("out/old Director", "the Director's older files, all of them", old_director, *OLD, reach=out)
    yield strategy(
        "out/old beside new", "older Snapshot and Targets below the newest Timestamp", beside, *OLD, reach=out
    )
    yield strategy("out/old images", "the Image repository's older files", old_repository, *OLD, reach=out)
    yield strategy(
        *("out/foreign vehicle", "another vehicle's files, genuine and newer", foreign_outside),
        *(G.FOREIGN, G.MIX_AND_MATCH, G.ARBITRARY, G.MIXED_BUNDLES),
        reach=out,
    )
    for name, text, act in (
        ("another image", "another genuine image in place of the one asked for", swapped_images),
        ("the old image", "the image that runs in place of the new one", old_image),
        ("flipped bits", "one bit of each image", flipped_images),
        ("of one's own", "octets of the attacker's for each image", own_images),
    ):
        yield strategy(f"out/{name}", text, act, *ODD, reach=out)
    yield strategy(
        *("out/kinds", "each file in another one's place: a Snapshot as Targets, a supplier's as the top level", kinds),
        *ODD,
        reach=out,
    )
    yield strategy(
        *("out/key ids", "everything signed by the attacker, under the ids of the real keys", key_ids),
        *(*ODD, *OLD, G.FOREIGN, G.PARTIAL_BUNDLE),
        reach=out,
    )
    yield strategy(
        *("out/same version", "other content under the versions that are held", same_version_outside),
        *(*ODD, *OLD),
        reach=out,
    )
    yield from _inside()


def _inside() -> Iterator[Strategy]:
    inside = Reach.IN
    yield strategy(
        *("in/old Targets", "older genuine Targets to each Secondary", old_targets),
        *OLD,
        reach=inside,
    )
    yield strategy(
        *("in/foreign vehicle", "another vehicle's genuine files to each Secondary", foreign_inside),
        *(G.FOREIGN, G.MIX_AND_MATCH, G.ARBITRARY, G.MIXED_BUNDLES, G.PARTIAL_BUNDLE),
        reach=inside,
    )
    yield strategy(
        *("in/old orders", "orders of the update before, and of another vehicle", old_orders),
        *(G.PARTIAL_BUNDLE, G.MIXED_BUNDLES, G.ROLLBACK, G.DROP),
        reach=inside,
    )


# ---------------------------------------------------------------------------------------------------- outside


def _instead(a: Attacker, given: Director) -> None:
    """Answer polls with these files, whatever the vehicle says it holds."""
    a.outside(Poll, lambda _need, answer: replace(answer, files=given.files()))


def old_director(a: Attacker) -> None:
    """First the oldest, then what was before the newest."""
    a.scene.update()
    for old in (a.scene.seen.sets[0], a.scene.seen.sets[1]):
        _instead(a, old)
        a.scene.ignition()
        a.scene.run(LONG_S / 2)


def beside(a: Attacker) -> None:
    """A Timestamp that is true, and files that were true once."""
    a.scene.publish(NEXT)
    old = a.scene.seen.sets[0]

    def change(_need: Poll, answer: Polled) -> Polled:
        files = dict(answer.files)
        for name in files:
            if name.endswith(".snapshot"):
                files[name] = old.snapshot
            elif name.endswith(".targets"):
                files[name] = old.targets
        return replace(answer, files=files)

    a.outside(Poll, change)
    a.scene.update()
    a.scene.run(LONG_S)


def old_repository(a: Attacker) -> None:
    """The Director orders what these files do not know, or know otherwise."""
    old = named_files(a.scene.seen.repository[0])
    a.outside(FetchMetadata, lambda need, answer: old.get(need.name, None if need.name != "timestamp" else answer))
    a.scene.update()
    a.scene.run(LONG_S / 2)
    a.outside(FetchMetadata, lambda need, answer: old["timestamp"] if need.name == "timestamp" else answer)
    a.scene.ignition()
    a.scene.run(LONG_S / 2)


def foreign_outside(a: Attacker) -> None:
    """The owner of vehicle 2 gives away all that he has."""
    given = a.scene.seen.foreign[-1]
    _instead(a, given)
    a.scene.update()
    a.scene.run(LONG_S)


def _images(a: Attacker, change: Callable[[FetchBlock, bytes | None], bytes | None]) -> None:
    a.outside(FetchBlock, change)
    a.scene.update()
    a.scene.run(LONG_S)


def swapped_images(a: Attacker) -> None:
    """Of the same length, published, and for other hardware."""
    a.scene.publish(NEXT)
    blobs = {a.image(filename_of(ecu, NEXT)).sha256: ecu for ecu in ECUS}
    others = {BRAKE: RADAR, RADAR: BRAKE}

    def change(need: FetchBlock, answer: bytes | None) -> bytes | None:
        ecu = blobs.get(need.sha256)
        if ecu not in others:
            return answer
        octets = a.scene.seen.blobs[a.image(filename_of(others[ecu], NEXT)).sha256]
        return octets[need.offset :]

    _images(a, change)


def old_image(a: Attacker) -> None:
    """What it runs, under the new name."""
    a.scene.publish(NEXT)
    old = {
        a.image(filename_of(ecu, NEXT)).sha256: a.scene.seen.blobs[a.image(filename_of(ecu, RUNS)).sha256]
        for ecu in ECUS
    }
    _images(a, lambda need, answer: old[need.sha256][need.offset :] if need.sha256 in old else answer)


def flipped_images(a: Attacker) -> None:
    """One octet is another."""
    _images(a, lambda _need, answer: bytes((answer[0] ^ 1,)) + answer[1:] if answer else answer)


def own_images(a: Attacker) -> None:
    """As long as the image, and nothing of it."""
    _images(a, lambda _need, answer: b"\xee" * len(answer) if answer else answer)


def kinds(a: Attacker) -> None:
    """Every file has its place, and none of these is in it."""
    repository = a.repository

    def change(_need: Poll, answer: Polled) -> Polled:
        files = dict(answer.files)
        targets = next((octets for name, octets in files.items() if name.endswith(".targets")), b"")
        return replace(answer, files={name: targets or octets for name, octets in files.items()})

    def metadata(need: FetchMetadata, answer: bytes | None) -> bytes | None:
        return repository["supplier"] if need.name.endswith(".targets") else answer

    a.outside(FetchMetadata, metadata)
    a.scene.update()
    a.scene.run(LONG_S / 2)
    a.outside(Poll, change)
    a.scene.ignition()
    a.scene.run(LONG_S / 2)


def key_ids(a: Attacker) -> None:
    """Forged as a forger without keys can: every signature bears the right id and was made by the wrong key."""
    a.scene.publish(NEXT)
    forger = Forger({})
    a.speak_as_director(forger.director(a.newest, lambda targets: targets, ahead=3))
    a.speak_as_images(forger.listed(a.repository))
    a.scene.update()
    a.scene.run(LONG_S)


def doubled(octets: bytes) -> bytes:
    """The same payload with its first signature twice, under another id the second time."""
    envelope = CODEC.open(octets, len(octets))
    first = envelope.signatures[0]
    again = Signature(type(first.key_id)(bytes(8)), first.octets)
    return CODEC.seal(envelope.payload, [*envelope.signatures, again]).octets


def same_version_outside(a: Attacker) -> None:
    """Under the version it holds it is given files that were signed once more, and others that were never signed."""
    held = a.newest
    again = Director(held.root, doubled(held.timestamp), doubled(held.snapshot), doubled(held.targets))
    other = Forger({}).director(held, lambda targets: replace(targets, refresh_image_root=True), ahead=0)
    for given in (again, other):
        _instead(a, given)
        a.scene.ignition()
        a.scene.run(LONG_S / 2)


# ----------------------------------------------------------------------------------------------------- inside


def old_targets(a: Attacker) -> None:
    """Each older set, to each Secondary, with the time it wants."""
    for ecu in a.others():
        for old in a.scene.seen.sets[:-1]:
            a.session(ecu)
            a.tell_time(ecu)
            a.verify(ecu, old, a.scene.seen.repository[0])
            a.flash(ecu, a.octets_of(filename_of(ecu, 1)))
    a.scene.update()
    a.scene.run(LONG_S)


def foreign_inside(a: Attacker) -> None:
    """Newer than theirs, genuine, and for ECUs of the same names but for the number."""
    for ecu in a.others():
        a.session(ecu)
        a.tell_time(ecu)
        a.verify(ecu, a.scene.seen.foreign[-1], a.repository)
        a.flash(ecu, a.octets_of(filename_of(ecu, ELSEWHERE)))
    a.scene.run(LONG_S)


def orders_heard(scene: Scene, phase: Phase | None = None) -> list[bytes]:
    """The orders that passed on the buses, whole: what was transferred to the address of orders."""
    found: list[bytes] = []
    for tap in scene.taps.values():
        found += [octets for item, octets in tap.objects() if item is Object.ORDER]
    if phase is None:
        return found
    return [octets for octets in found if CODEC.parse(CODEC.open(octets, 8_192).payload).phase is phase]  # type: ignore[union-attr]


def old_orders(a: Attacker) -> None:
    """During an update, every order of the one before, to whoever is next."""
    heard = orders_heard(a.scene)
    a.say(f"{len(heard)} orders were heard")
    a.scene.update()
    a.first_to_be("prepared")
    for ecu in a.others():
        a.session(ecu)
        for order in heard:
            a.put(ecu, Object.ORDER, order)
    a.scene.run(LONG_S)
