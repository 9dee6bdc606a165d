"""On the bus, without keys: cut off, listen, alter, hold sessions, wear out, restart, answer in an ECU's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sim.attack.attacker import Attacker
from sim.attack.goals import Goal
from sim.attack.keys import Reach
from sim.attack.scene import BODY, BRAKE, CAMERA, ECUS, NEXT, RADAR, VEHICLE, filename_of
from sim.attack.strategies.denial import CRAWL_S, LONG_S
from sim.attack.strategies.strategy import Strategy, strategy
from sim.attack.yes_man import YesMan
from sim.signatures import HASHER
from uptane.link.can_frame import CanFrame, address_of
from uptane.link.uds_client import Pause, ask_once, download, erase, open_session, read_report
from uptane.link.uds_objects import LENGTH_MAX, CheckOption, Object, Place
from uptane.link.uds_values import PRIMARY_ADDRESS, Present, Reset, Session, Transfer
from uptane.machine import Workflow
from uptane.model.ids import EcuId

G = Goal
IN = Reach.IN
SPLIT = (G.PARTIAL_BUNDLE, G.MIXED_BUNDLES, G.DROP)
WRITES = (G.ARBITRARY, G.ROLLBACK, G.ENDLESS_DATA, G.MIX_AND_MATCH, G.WRONG_HARDWARE)


def strategies() -> Iterator[Strategy]:
    """All of this file."""
    yield strategy("in/eavesdrop", "put images together from frames", eavesdrop, G.EAVESDROP, reach=IN)
    for ecu in (BRAKE, BODY, CAMERA, RADAR):
        yield strategy(
            *(f"in/cut off {ecu}", "no frame passes to or from an ECU", _cut(ecu)),
            *(*SPLIT, G.FREEZE),
            reach=IN,
        )
    yield strategy(
        *("in/cut off all", "no frame passes to or from any Secondary", cut_all), *(*SPLIT, G.FREEZE), reach=IN
    )
    yield from _at_votes()
    yield strategy("in/hold sessions", "a tester that never leaves", hold_sessions, G.DROP, G.PARTIAL_BUNDLE, reach=IN)
    yield strategy("in/restart", "restart ECUs on trial and after", restarts, *SPLIT, reach=IN)
    yield strategy("in/slow", "one frame of each block is lost", crawl, G.SLOW, G.DROP, G.PARTIAL_BUNDLE, reach=IN)
    yield strategy("in/alter", "one octet of each image is altered on the bus", alter, *WRITES, G.DROP, reach=IN)
    yield strategy("in/own image", "flash octets nobody assigned", own_image, *WRITES, reach=IN)
    yield strategy("in/old image", "flash what it ran before", old_image, *WRITES, reach=IN)
    yield strategy("in/wear", "erase as often as it lets one", wear, G.ENDLESS_DATA, G.DROP, reach=IN)
    yield strategy("in/endless objects", "announce and send more than fits", endless_objects, *WRITES, reach=IN)
    yield strategy("in/interrupt", "break off each transfer half way", interrupt, G.ENDLESS_DATA, G.DROP, reach=IN)
    yield from _answering()


def _at_votes() -> Iterator[Strategy]:
    for moment, text in (("voted", "has voted"), ("committed", "was told to commit"), ("prepared", "is prepared")):
        yield strategy(
            *(f"in/cut off others when one {moment}", f"once one ECU {text}, the others hear nothing", _cut_at(moment)),
            *SPLIT,
            reach=IN,
        )
    yield strategy(
        *("in/cut off all when one voted", "once one ECU has voted, nobody hears anything", cut_all_at_vote),
        *SPLIT,
        reach=IN,
    )
    yield strategy(
        *("in+out/cut off all when one voted", "the same, and no manifest gets out", cut_all_at_vote_unseen),
        *SPLIT,
        reach=(IN, Reach.OUT),
    )
    yield strategy(
        "in/answer for the one that voted",
        "cut off all once one has voted, and hand out its report of before",
        answer_for_voted,
        *(*SPLIT, G.FALSE_REPORT),
        reach=IN,
    )


def _answering() -> Iterator[Strategy]:
    for ecu in (BODY, RADAR):
        yield strategy(
            *(f"in/say yes for {ecu}", "answer in its place that all is done", _yes_man(ecu)),
            *(*SPLIT, G.FALSE_REPORT),
            reach=IN,
        )
        yield strategy(
            *(f"in/say voted for {ecu}", "let it prepare, then answer in its place", _yes_man(ecu, after="prepared")),
            *(*SPLIT, G.FALSE_REPORT),
            reach=IN,
        )
    yield strategy(
        *("in/withheld report", "a vote withheld, the ECU gone back, and the vote handed in then", withheld),
        *(G.FALSE_REPORT, G.PARTIAL_BUNDLE),
        reach=IN,
    )


# ------------------------------------------------------------------------------------------------- listening


def eavesdrop(a: Attacker) -> None:
    """Each block of an image passes in the clear."""
    a.needs(IN)
    a.scene.update()
    a.scene.run(LONG_S)
    wanted = {ecu: a.image(filename_of(ecu, NEXT)) for ecu in ECUS}
    for tap in a.scene.taps.values():
        blocks = [octets[2:] for _source, _target, octets in tap.messages if octets[:1] == b"\x36"]
        for start in range(len(blocks)):
            together = b""
            for block in blocks[start : start + 16]:
                together += block
                for ecu, image in wanted.items():
                    if len(together) == image.length and HASHER.sha256(together) == image.sha256:
                        a.copies[ecu] = image.sha256


# --------------------------------------------------------------------------------------------------- cutting


def _cut(ecu: EcuId) -> Callable[[Attacker], None]:
    def act(a: Attacker) -> None:
        a.cut_off(ecu)
        a.scene.update()
        a.scene.run(LONG_S)

    return act


def cut_all(a: Attacker) -> None:
    """The Primary is alone."""
    for ecu in a.others():
        a.cut_off(ecu)
    a.scene.update()
    a.scene.run(LONG_S)


def _cut_at(state: str) -> Callable[[Attacker], None]:
    def act(a: Attacker) -> None:
        a.scene.update()
        first = a.first_to_be(state)
        a.say(f"the first is {first}")
        for ecu in a.others():
            if ecu != first:
                a.cut_off(ecu)
        a.scene.run(LONG_S)

    return act


def cut_all_at_vote(a: Attacker) -> None:
    """So that the one that has voted cannot be told to go back."""
    a.scene.update()
    a.say(f"the first is {a.first_to_be('voted')}")
    for ecu in a.others():
        a.cut_off(ecu)
    a.scene.run(LONG_S)


def answer_for_voted(a: Attacker) -> None:
    """Whoever asks it hears what it said last; its vote, and what it runs, nobody hears."""
    puppets = {ecu: YesMan(a, ecu) for ecu in a.others()}
    a.scene.update()
    first = a.first_to_be("voted")
    for ecu in a.others():
        if ecu == first:
            a.puppet(ecu, puppets[ecu].answer)
        else:
            a.cut_off(ecu)
    a.scene.run(LONG_S)


def cut_all_at_vote_unseen(a: Attacker) -> None:
    """And so that nobody hears of it."""
    a.scene.update()
    a.first_to_be("voted")
    a.drop_all()
    for ecu in a.others():
        a.cut_off(ecu)
    a.scene.run(LONG_S)


def crawl(a: Attacker) -> None:
    """Blocks get shorter, and come again and again."""
    count = 0

    def change(_sender: str, frame: CanFrame) -> CanFrame | None:
        nonlocal count
        count += 1
        return None if is_image(frame) and count % 25 == 0 else frame

    for ecu in (BRAKE, CAMERA):
        a.wire(ecu, change)
    a.scene.update()
    a.scene.run(CRAWL_S)


def is_image(frame: CanFrame) -> bool:
    """Whether a frame carries part of a long message of the Primary's."""
    found = address_of(frame.can_id)
    return found is not None and found.source == PRIMARY_ADDRESS and bool(frame.data) and frame.data[0] >> 4 == 2


def alter(a: Attacker) -> None:
    """The last octet of each consecutive frame, once the metadata are there."""
    a.scene.publish(NEXT)
    for ecu in (BRAKE, CAMERA):
        images = {ecu_: a.octets_of(filename_of(ecu_, NEXT)) for ecu_ in a.others()}

        def change(_sender: str, frame: CanFrame, images: dict[EcuId, bytes] = images) -> CanFrame | None:
            body = frame.data[1:]
            if is_image(frame) and any(body in octets for octets in images.values()):
                return frame._replace(data=frame.data[:-1] + bytes((frame.data[-1] ^ 1,)))
            return frame

        a.wire(ecu, change)
    a.scene.update()
    a.scene.run(LONG_S)


# ------------------------------------------------------------------------------------------- sessions, restarts


def hold_sessions(a: Attacker) -> None:
    """One session with each ECU, kept for half an hour."""
    for ecu in a.others():
        a.session(ecu, Session.EXTENDED)
    a.scene.update()
    for _ in range(LONG_S // 4):
        for ecu in a.others():
            a.do(_present(ecu))
        a.scene.run(3)


def _present(ecu: EcuId) -> Workflow[Any, None]:
    reply = yield from ask_once(ecu, Present())
    if reply is None:
        yield from open_session(ecu, Session.EXTENDED)


def restarts(a: Attacker) -> None:
    """Whoever restarts an ECU on trial sends it back; whoever does it often enough makes it fall back."""
    a.scene.update()
    for state in ("trial", "voted", "committed"):
        first = a.first_to_be(state)
        for _ in range(6):
            for ecu in () if first is None else (first,):
                a.session(ecu, Session.PROGRAMMING)
                a.do(ask_once(ecu, Reset()))
            a.scene.run(0.5)
    a.scene.run(LONG_S)


# ----------------------------------------------------------------------------------------------------- writing


def own_image(a: Attacker) -> None:
    """As a workshop would, with nothing verified for it; and again in the middle of an update."""
    for ecu in a.others():
        a.flash(ecu, b"\xee" * 600)
    a.scene.update()
    a.first_to_be("prepared")
    for ecu in a.others():
        a.flash(ecu, b"\xee" * 600)
    a.scene.run(LONG_S)


def old_image(a: Attacker) -> None:
    """What it left the factory with."""
    for ecu in a.others():
        a.session(ecu)
        a.tell_time(ecu)
        a.flash(ecu, a.octets_of(filename_of(ecu, 1)))
    a.scene.update()
    a.first_to_be("prepared")
    for ecu in a.others():
        a.flash(ecu, a.octets_of(filename_of(ecu, 1)))
    a.scene.run(LONG_S)


def wear(a: Attacker) -> None:
    """With genuine metadata that assign something, each ECU can be made to erase."""
    a.scene.publish(NEXT)
    a.scene.assign(VEHICLE, NEXT)
    newest = a.poll_newest()
    for ecu in a.others():
        a.session(ecu)
        a.tell_time(ecu)
        a.verify(ecu, newest, a.repository)
        a.session(ecu, Session.PROGRAMMING)
        for _ in range(12):
            a.do(_erase_and_spoil(ecu))
    a.scene.run(LONG_S)


def _erase_and_spoil(ecu: EcuId) -> Workflow[Any, None]:
    """An erased slot is erased again only when something was written to it."""
    yield from erase(ecu)
    yield from download(ecu, 0, 600)
    yield from ask_once(ecu, Transfer(1, bytes(32)))


def endless_objects(a: Attacker) -> None:
    """The longest lengths there are, lengths beyond, blocks beyond the length, places that do not exist."""
    for ecu in a.others():
        a.session(ecu)
        for item in Object:
            a.do(download(ecu, Place(item).address, LENGTH_MAX[item]))
            a.do(download(ecu, Place(item).address, LENGTH_MAX[item] + 1))
        a.do(download(ecu, 0xEFFF_FFFF, 0xFFFF_FFFF))
        a.do(_overrun(ecu))
        for number in range(64):
            a.give(ecu, Object.DELEGATED, bytes(300), number=number)
        a.check(ecu, CheckOption.EVERYTHING)
        a.check(ecu, CheckOption.IMAGE)
    a.scene.update()
    a.scene.run(LONG_S)


def _overrun(ecu: EcuId) -> Workflow[Any, None]:
    yield from download(ecu, Place(Object.DIRECTOR_TARGETS).address, 10)
    for counter in range(1, 9):
        yield from ask_once(ecu, Transfer(counter, bytes(2_000)))


def interrupt(a: Attacker) -> None:
    """A session opened in the Primary's name ends the transfer under way."""
    a.scene.update()
    for _ in range(120):
        for ecu in a.others():
            a.do(_hello(ecu), PRIMARY_ADDRESS)
        a.scene.run(5)
    a.scene.run(LONG_S)


def _hello(ecu: EcuId) -> Workflow[Any, None]:
    yield from open_session(ecu, Session.DEFAULT)
    yield Pause(10)


# --------------------------------------------------------------------------------------------------- answering


def _yes_man(ecu: EcuId, after: str = "") -> Callable[[Attacker], None]:
    def act(a: Attacker) -> None:
        yes_man = YesMan(a, ecu)
        if not after:
            yes_man.take_over()
        a.scene.update()
        if after:
            a.first_to_be(after, ecu)
            yes_man.take_over()
        a.scene.run(LONG_S)

    return act


def withheld(a: Attacker) -> None:
    """The report of a vote is genuine and newer than all others; it must not prove what was undone since."""
    a.scene.update()
    first = a.first_to_be("voted")
    assert first is not None
    report = a.tester().do(read_report(first))
    for ecu in a.others():
        if ecu != first:
            a.cut_off(ecu)
    a.first_to_be("idle", first)
    if isinstance(report, bytes):
        yes_man = YesMan(a, first)
        yes_man.report = report
        yes_man.take_over()
    a.scene.run(LONG_S)
