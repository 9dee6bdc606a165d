"""The firmware's ISO-TP and UDS server do what the Python ones do: frame by frame, task by task, timer by timer."""

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.firmware.link_events import (
    EDITS,
    EVENTS,
    FRAME_LENGTHS,
    OPEN,
    PEER,
    PRIMARY,
    READINGS,
    REPORT,
    SESSIONS,
    TESTER,
    THIRD,
    Bus,
    Player,
    edited,
    flow_of,
    frames_of,
    physical,
    said,
)
from tests.firmware.link_pair import OWN, PEERS_MAX, Chip, Entry, Script, library
from uptane.link.uds_tasks import Interlock
from uptane.link.uds_values import Nrc, Service

PROFILE = settings()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return library(tmp_path_factory.mktemp("link"))


@pytest.fixture
def bus(built: ctypes.CDLL) -> Iterator[Bus]:
    made = Bus(built, report=REPORT)
    yield made
    made.close()


@settings(max_examples=max(250, PROFILE.max_examples))
@given(fd=st.booleans(), before=SESSIONS, events=st.lists(EVENTS, min_size=10, max_size=40))
def test_whatever_comes_the_firmware_does_what_python_does(
    built: ctypes.CDLL, *, fd: bool, before: list[Any], events: list[Any]
) -> None:
    bus = Bus(built, fd=fd, report=REPORT)
    player = Player(bus)
    for event in before + events:
        player.play(event)
    bus.rest(10_000)
    bus.close()


@given(
    fd=st.booleans(),
    open_session=st.booleans(),
    messages=st.lists(
        st.tuples(
            PEER,
            st.sampled_from([2, 3, 9, 11, 16, 17, 63, 100, 300, 514, 515, 4095, 4096]),
            FRAME_LENGTHS,
            st.lists(st.tuples(st.integers(0, 80), EDITS), max_size=2),
        ),
        max_size=6,
    ),
    turns=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 90), st.sampled_from([0, 0, 0, 0, 0, 999, 1_000]))),
)
def test_messages_of_several_peers_come_in_disorder(
    built: ctypes.CDLL, *, fd: bool, open_session: bool, messages: list[Any], turns: list[tuple[int, int, int]]
) -> None:
    bus = Bus(built, fd=fd)
    if open_session:
        bus.ask(OPEN["extended"])
    coming: list[tuple[int, list[bytes]]] = []
    for peer, size, length, edits in messages:
        frames = [[frame] for frame in frames_of(b"\x36\x01" + bytes(range(1, 9)) * (size // 8 + 1), length)]
        for at, edit in edits:
            frames[at % len(frames)] = edited(frames[at % len(frames)][0], edit) if frames[at % len(frames)] else []
        coming.append((peer, [frame for some in frames for frame in some]))
    for which, count, ms in [*turns, *((at, 4_096, 0) for at in range(len(coming)))]:
        if which < len(coming):
            peer, left = coming[which]
            for frame in left[:count]:
                bus.hear(physical(peer), frame)
            del left[:count]
        bus.rest(ms)
    bus.rest(1_000)
    bus.close()


# ----------------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize("session", OPEN)
def test_every_service_and_sub_function_of_every_length(bus: Bus, session: str) -> None:
    answers: dict[str, int] = {}
    for service in range(0x100):
        functions = range(0x100) if service in set(Service) else (0, 1, 0x81)
        for function in functions:
            rests = ("", "01", "0203", "ff0001", "44f3000000000003e8") if function in {0, 1, 2, 3, 0x81} else ("",)
            for rest in rests:
                bus.ask(OPEN[session])
                answer = bus.said(bytes([service, function]) + bytes.fromhex(rest))
                answers[answer[:2]] = answers.get(answer[:2], 0) + 1
    assert answers.keys() >= {"7f", "50", "7e", "71"}
    assert answers["7f"] > 1_000


# What is asked, and what is answered; all of it in one programming session.
CONVERSATIONS = {
    "a transfer, its end lost and asked for again": [
        ("340044f300000000000003", "74200202"),
        ("360141", "7601"),
        ("360141", "7601"),
        ("37", "7f3724"),
        ("340044f300000000000003", "74200202"),
        ("360141", "7601"),
        ("3602424300", "7f3631"),
        ("3602", "7f3613"),
        ("36034243", "7f3673"),
        ("36024243", "7602"),
        ("37", "77"),
        ("37", "77"),
        ("22fd03", "62fd030d01"),
        ("37", "77"),
        ("31010203", "7101020300"),
        ("37", "7f3724"),
    ],
    "what ends a transfer": [
        ("340044f300000000000003", "74200202"),
        ("31010202f3", "7f3124"),
        ("3101ff00", "7f3178 7101ff0000"),
        ("360141", "7f3624"),
        ("340044f300000000000003", "74200202"),
        ("340044f300000100000003", "7f3431"),
        ("360141", "7f3624"),
        ("3400440000000000000003", "74200202"),
        ("1003", "5003003201f4"),
        ("360141", "7f3624"),
        ("3400440000000000000003", "7f347f"),
        ("1101", "7f117f"),
    ],
    "objects by address and length": [
        ("340044f000000000010000", "74200202"),
        ("340044f000000000010001", "7f3431"),
        ("340044f100000000004001", "7f3431"),
        ("340044f200000000800000", "74200202"),
        ("340044f200000000800001", "7f3431"),
        ("340044f300000000040000", "74200202"),
        ("340044f300000000040001", "7f3431"),
        ("340044f83f000004000000", "74200202"),
        ("340044f840000000000001", "7f3431"),
        ("340044f800000100000001", "7f3431"),
        ("340044f301000000000001", "7f3431"),
        ("340044f900000000000001", "7f3431"),
        ("340044fc00000000000001", "7f3431"),
        ("340044ff00000000000001", "7f3431"),
        ("340044fb00000000002000", "74200202"),
        ("340044fb00000000002001", "7f3431"),
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation(bus: Bus, name: str) -> None:
    bus.ask(OPEN["programming"])
    for asked, answered in CONVERSATIONS[name]:
        assert (asked, bus.said(asked)) == (asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("1003", "5003003201f4"),
        ("3e00", "7e00"),
        ("22fd03", "62fd030d01"),
        ("280103", ""),  # not in this session: not said to a group
        ("22f199", ""),  # nor an identifier nobody knows,
        ("1004", ""),  # a sub-function,
        ("2701", ""),  # a service
        ("10", "7f1013"),  # but a length
        ("36", "7f3613"),
        ("31010203", ""),  # not for groups
        ("1101", ""),
        ("37", ""),
    ],
)
def test_what_a_group_is_told(bus: Bus, asked: str, answered: str) -> None:
    assert bus.said(asked, group=True) == answered


def test_a_message_to_the_group_does_not_end_one_to_us_alone(bus: Bus) -> None:
    bus.hear(physical(PRIMARY), bytes.fromhex("100b340044000000"))
    assert bus.said("3e00", group=True) == "7e00"
    assert said(bus.hear(physical(PRIMARY), bytes.fromhex("21060708090aaaaa"))) == "7f347f"
    bus.hear(physical(PRIMARY), bytes.fromhex("100b340044000000"))
    assert bus.said("3e00") == "7e00"
    assert bus.hear(physical(PRIMARY), bytes.fromhex("21060708090aaaaa")) == []


def test_a_long_message_takes_its_time(bus: Bus) -> None:
    """74 frames: two blocks, a sequence number that begins anew, and nearly a second before each of the last."""
    bus.ask(OPEN["extended"])
    bus.ask("340044f3000000000003e8")
    frames = frames_of(bytes([0x36, 1]) + bytes(512))
    seen: list[list[Entry]] = []
    for number, frame in enumerate(frames):
        bus.rest(999 if number > 70 else 0)
        seen.append(bus.hear(physical(PRIMARY), frame))
    assert [number for number, entries in enumerate(seen) if entries] == [0, 64, 73]
    assert seen[0] == seen[64] == [flow(PRIMARY)]
    assert said(seen[73]) == "7601"


def test_the_options_of_a_check(bus: Bus) -> None:
    bus.ask(OPEN["programming"])
    for option in range(0x100):
        known = option in {0x00, 0xF0, 0xF3, 0xF4, 0xFA, 0xFB, 0xFE}
        assert bus.said(bytes([0x31, 1, 2, 2, option])) == ("7f3178 7101020200" if known else "7f3131")


@pytest.mark.parametrize("nrc", [Nrc.DOWNLOAD, Nrc.SUSPENDED, Nrc.PROGRAMMING, Nrc.CONDITIONS])
def test_a_failure_ends_the_silence(bus: Bus, nrc: Nrc) -> None:
    bus.ask(OPEN["programming"])
    assert ("traffic", False, True) in bus.ask("280101")
    assert ("traffic", False, False) in bus.ask("8502")
    bus.script.nrc = nrc
    assert (("traffic", True, True) in bus.ask("3101ff01")) is (nrc is not Nrc.CONDITIONS)


MALFORMED = {
    "nothing at all": "",
    "a single frame of length 0": "00aaaaaaaaaaaaaa",
    "a single frame that says 8": "0810aaaaaaaaaaaa",
    "a single frame that says 15": "0f10aaaaaaaaaaaa",
    "a short single frame padded to less than 8": "021001aa",
    "a single frame shorter than it says": "0310",
    "a single frame of CAN FD in 8 octets": "000210030000aaaa",
    "a long single frame of length 7": "0007" + "3e" * 10,
    "a long single frame longer than its frame": "000b" + "3e" * 10,
    "a long single frame of length 255": "00ff" + "3e" * 62,
    "a long single frame in a longer frame than it needs": "000a" + "3e" * 14,
    "a long single frame with a short length too": "0208" + "3e" * 10,
    "a first frame of 7 octets": "100a3e00000000",
    "a first frame of 2 octets": "100a",
    "a first frame of 1 octet": "10",
    "a first frame of a length no frame has": "100a" + "3e" * 9,
    "a first frame for what fits a single frame": "1007" + "3e" * 6,
    "a first frame of CAN FD for what fits a single frame": "103e" + "3e" * 62,
    "a first frame with an escape for a short length": "1000000000ff3e3e",
    "a first frame with an escape for 4095": "100000000fff3e3e",
    "a first frame of length 0": "1000000000003e3e",
    "a consecutive frame that belongs to nothing": "213e3e3e3e3e3e3e",
    "a flow control frame nobody waits for": "300000aaaaaaaaaa",
    "a flow control frame of 2 octets": "3000",
    "a frame of a kind that does not exist": "403e3e3e3e3e3e3e",
    "another one": "ff",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("fd", [False, True], ids=["classic", "fd"])
def test_a_malformed_frame_is_ignored(built: ctypes.CDLL, data: str, fd: bool) -> None:
    bus = Bus(built, fd=fd)
    for can_id in (physical(PRIMARY), 0x18DB33F0):
        assert bus.hear(can_id, bytes.fromhex(data)) == []
        assert bus.said("3e00") == "7e00"
    bus.close()


@pytest.mark.parametrize("data", ["013e", "023e00aaaaaaaaaa", "023e00", "02 3e 00 00 00 00 00 00"])
def test_padding_of_any_kind_is_taken(bus: Bus, data: str) -> None:
    assert len(bus.hear(physical(PRIMARY), bytes.fromhex(data))) == 1


@pytest.mark.parametrize(
    ("can_id", "answered"),
    [
        (0x18DA21F0, True),
        (0x1CDA21F0, True),
        (0x00DA21F0, True),
        (0x18DB33F0, True),
        (0x18DA22F0, False),  # to another
        (0x18DA2121, False),  # from ourselves
        (0x18DB34F0, False),  # another group
        (0x18DC21F0, False),
        (0x19DA21F0, False),  # another data page
        (0x1ADA21F0, False),
        (0x000007DF, False),
    ],
)
def test_whose_frame_it_is(bus: Bus, can_id: int, answered: bool) -> None:
    assert bool(bus.hear(can_id, bytes.fromhex("023e00"))) is answered


@pytest.mark.parametrize(
    ("second", "taken"),
    [
        ("2106070809 0a".replace(" ", ""), True),  # the last one may end with the message
        ("21060708090aaaaa", True),
        ("2106070809", False),  # too short: ignored
        ("2206070809 0aaaaa".replace(" ", ""), False),  # another number: the message is lost
        ("21060708090aaaaaaaaaaaaa", False),  # longer than the first: ignored
    ],
)
def test_the_last_frame_of_a_message(bus: Bus, second: str, taken: bool) -> None:
    assert bus.hear(physical(PRIMARY), bytes.fromhex("100b340044000000")) == [flow(PRIMARY)]
    entries = bus.hear(physical(PRIMARY), bytes.fromhex(second))
    assert said(entries) == ("7f347f" if taken else "")


def flow(peer: int, status: int = 0, *, fd: bool = False) -> Entry:
    return "frame", 0x1CDA0000 | peer << 8 | OWN, fd, bytes([0x30 | status, 64, 0]) + b"\xaa" * 5


# ------------------------------------------------------------------------------------------------------------- memory


def first(length: int) -> bytes:
    return (0x1000 | length).to_bytes(2) + b"\x36\x01" + bytes(4)


def test_a_message_too_long_is_refused_at_its_first_frame(bus: Bus) -> None:
    bus.ask(OPEN["extended"])
    assert bus.hear(physical(PRIMARY), first(514)) == [flow(PRIMARY)]
    for length in (515, 4095):
        assert bus.hear(physical(PRIMARY), first(length)) == [flow(PRIMARY, 2)]
    assert bus.hear(physical(PRIMARY), bytes.fromhex("1000000010003601")) == [flow(PRIMARY, 2)]
    assert bus.hear(physical(PRIMARY), bytes.fromhex("1000ffffffff3601")) == [flow(PRIMARY, 2)]


def test_without_a_session_the_first_to_ask_has_the_block(bus: Bus) -> None:
    assert bus.hear(physical(THIRD), first(100)) == [flow(THIRD)]
    assert bus.hear(physical(PRIMARY), first(17)) == [flow(PRIMARY, 2)]
    assert bus.hear(physical(PRIMARY), first(16)) == [flow(PRIMARY)]  # a request finds room all the same
    bus.rest(1_000)
    assert bus.hear(physical(PRIMARY), first(17)) == [flow(PRIMARY)]


def test_the_holder_of_the_session_takes_the_block_from_anybody(bus: Bus) -> None:
    assert bus.hear(physical(THIRD), first(100)) == [flow(THIRD)]
    bus.ask(OPEN["extended"])
    assert bus.hear(physical(PRIMARY), first(100)) == [flow(PRIMARY)]
    assert bus.hear(physical(THIRD), b"\x21" + bytes(7)) == []
    assert bus.hear(physical(THIRD), first(100)) == [flow(THIRD, 2)]
    assert bus.hear(physical(THIRD), first(16)) == [flow(THIRD)]


class Crowd:
    """The firmware alone, among more peers than it has places."""

    def __init__(self, built: ctypes.CDLL, *, holder: int | None = None) -> None:
        self.chip = Chip(built, fd=False, script=Script(readings=READINGS, report=REPORT))
        self.now = 0
        if holder is not None:
            self.hear(holder, bytes.fromhex("021003"))
        for peer in range(1, 1 + PEERS_MAX):
            assert self.hear(peer, first(16)) == [flow(peer)]

    def hear(self, peer: int, data: bytes) -> list[Entry]:
        self.chip.heard(physical(peer), data, self.now)
        return self.chip.log()

    def rest(self, ms: int) -> list[Entry]:
        self.now += ms
        self.chip.tick(self.now)
        return self.chip.log()


def test_a_crowd_leaves_a_stranger_single_frames(built: ctypes.CDLL) -> None:
    crowd = Crowd(built)
    assert crowd.hear(TESTER, first(11)) == [flow(TESTER, 2)]
    assert said(crowd.hear(TESTER, bytes.fromhex("023e00")), TESTER) == "7e00"
    assert said(crowd.hear(TESTER, bytes.fromhex("0322fd03")), TESTER) == "62fd030d01"
    assert crowd.hear(TESTER, bytes.fromhex("0322fd00")) == []  # an answer of several frames: asked again, later
    assert said(crowd.hear(TESTER, bytes.fromhex("0322fd01")), TESTER) == "7f2221"
    crowd.rest(1_000)
    assert crowd.hear(TESTER, first(11)) == [flow(TESTER)]


def test_the_holder_always_has_a_place(built: ctypes.CDLL) -> None:
    crowd = Crowd(built, holder=TESTER)
    assert crowd.hear(TESTER, first(100)) == [flow(TESTER)]
    assert said(crowd.hear(2, b"\x21" + bytes(9)[:7]), 2) == ""
    for peer in range(1, 1 + PEERS_MAX):
        crowd.hear(peer, first(16))
    assert crowd.hear(TESTER, b"\x21" + bytes(7)) == []
    assert crowd.hear(TESTER, bytes.fromhex("0322fd00"))[0][3][:2] == bytes([0x10, 93])


def test_nobody_keeps_the_report_from_another(bus: Bus) -> None:
    head = 0x1000 | 3 + len(REPORT)
    for peer in (THIRD, TESTER, PRIMARY):
        (entry,) = bus.hear(physical(peer), bytes.fromhex("0322fd01"))
        assert entry[3][:2] == head.to_bytes(2)
    assert bus.hear(physical(THIRD), bytes.fromhex("0322fd01")) == []  # its answer, "busy", waits for the first
    assert said(bus.rest(1_000), THIRD) == "7f2221"


def test_a_report_that_changes_is_broken_off(built: ctypes.CDLL) -> None:
    chip = Chip(built, fd=False, script=Script(readings=READINGS, report=REPORT))
    chip.heard(physical(PRIMARY), bytes.fromhex("0322fd01"), 0)
    chip.heard(physical(PRIMARY), bytes.fromhex("0322fd03"), 0)
    assert len(chip.log()) == 1
    chip.report(b"another")
    assert said(chip.log()) == "62fd030d01"
    chip.heard(physical(PRIMARY), flow_of(0, 0, 0), 0)
    assert chip.log() == []
    assert chip.deadline() is None
    chip.close()


# -------------------------------------------------------------------------------------------------------------- timers


def test_at_most_sixteen_wait_frames_in_a_row(bus: Bus) -> None:
    bus.hear(physical(PRIMARY), bytes.fromhex("0322fd00"))
    for _ in range(16):
        assert bus.rest(900) == []
        assert bus.hear(physical(PRIMARY), flow_of(1, 0, 0)) == []
    assert len(bus.hear(physical(PRIMARY), flow_of(0, 1, 0))) == 1
    for _ in range(17):
        bus.hear(physical(PRIMARY), flow_of(1, 0, 0))
    assert bus.hear(physical(PRIMARY), flow_of(0, 0, 0)) == []


@pytest.mark.parametrize(
    ("separation", "gap_ms"), [(0, 0), (1, 2), (0x7F, 128), (0x80, 128), (0xF0, 128), (0xF1, 2), (0xF9, 2), (0xFF, 128)]
)
def test_frames_keep_the_separation_asked_for(built: ctypes.CDLL, separation: int, gap_ms: int) -> None:
    """A millisecond more than asked for: the clock may turn right behind the frame before."""
    chip = Chip(built, fd=False, script=Script(readings=READINGS))
    chip.heard(physical(PRIMARY), bytes.fromhex("0322fd00"), 0)
    chip.heard(physical(PRIMARY), flow_of(0, 0, separation), 0)
    times = [0] * (len(chip.log()) - 1)
    now = 0
    while (deadline := chip.deadline()) is not None:
        assert chip.tick(deadline - 1) == deadline - 1
        assert chip.log() == []
        now = chip.tick(deadline)
        times += [now] * len(chip.log())
    assert times == [gap_ms * at for at in range(13)]
    chip.close()


def test_pending_is_said_at_once_before_what_takes_long_and_again_while_it_lasts(bus: Bus) -> None:
    bus.ask(OPEN["programming"])
    bus.script.breaths, bus.script.breath_ms = 600, 10
    assert said(bus.ask("3101ff00")) == "7f3178 7f3178 7f3178 7101ff0000"
    assert said(bus.ask("3101ff01")) == "7f3178 7f3178 7f3178 7101ff0100"  # at 25, 2,525, 5,025 ms
    bus.script.breaths = 2
    assert said(bus.ask("3101ff01")) == "7101ff0100"
    assert said(bus.ask("3101ff00")) == "7f3178 7101ff0000"


def test_whoever_wants_no_answer_has_one_only_behind_pending(bus: Bus) -> None:
    bus.ask(OPEN["programming"])
    assert said(bus.ask("3181ff00")) == ""
    bus.script.breaths, bus.script.breath_ms = 3, 10
    assert said(bus.ask("3181ff00")) == "7f3178 7101ff0000"
    bus.script.breaths = 0
    assert said(bus.ask("1083")) == ""


def test_the_vehicle_is_not_kept_silent_when_it_moves_during_a_task(bus: Bus) -> None:
    bus.ask(OPEN["programming"])
    bus.ask("280101")
    bus.script.breaths, bus.script.breath_ms = 2, 600
    bus.script.interlock = Interlock.MOVING
    assert ("traffic", True, True) in bus.ask("3101ff01")


# ----------------------------------------------------------------------------------------------------------- the port


def through(built: ctypes.CDLL, rooms: list[int], *, fd: bool) -> list[Entry]:
    """What leaves a port that has room for so many frames at each tick, over and over; a millisecond apart."""
    chip = Chip(built, fd=fd, script=Script(readings=READINGS, report=REPORT))
    entries: list[Entry] = []
    for peer, data in [(PRIMARY, "021003"), (PRIMARY, "0322fd01"), (TESTER, "0322fd00"), (PRIMARY, "023e00")]:
        chip.heard(physical(peer), bytes.fromhex(data), 0)
    chip.heard(physical(TESTER), first(11), 0)
    for now in range(1_200):
        chip.room(rooms[now % len(rooms)])
        chip.tick(now)
        entries += [entry for entry in chip.log() if entry[0] == "frame"]
        for peer in (PRIMARY, TESTER):
            chip.heard(physical(peer), flow_of(0, 7, 0), now)
    chip.close()
    return entries


def peer_of(entry: Entry) -> int:
    return int(entry[1]) >> 8 & 0xFF


@settings(max_examples=40)  # each is a thousand ticks
@given(rooms=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any), fd=st.booleans())
def test_whatever_room_the_port_has_the_frames_are_the_same(built: ctypes.CDLL, rooms: list[int], fd: bool) -> None:
    slow, fast = through(built, rooms, fd=fd), through(built, [1_000], fd=fd)
    for peer in (PRIMARY, TESTER):
        assert [entry for entry in slow if peer_of(entry) == peer] == [
            entry for entry in fast if peer_of(entry) == peer
        ]
    assert len(fast) > len(REPORT) // (63 if fd else 7) + 2, "the whole report, and what else was asked"


def test_a_port_that_takes_nothing_for_a_second_is_given_up(built: ctypes.CDLL) -> None:
    chip = Chip(built, fd=False, script=Script(readings=READINGS))
    chip.room(0)
    chip.heard(physical(PRIMARY), bytes.fromhex("0322fd03"), 0)
    assert chip.deadline() == 1
    for now in range(1, 1_000):
        chip.tick(now)
    assert chip.deadline() == 1_000
    chip.tick(1_000)
    assert chip.deadline() is None
    chip.room(9)
    chip.tick(1_001)
    assert chip.log() == []
    chip.close()
