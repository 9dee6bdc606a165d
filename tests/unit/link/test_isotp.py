"""ISO-TP between two of our machines: every message arrives whole or is reported lost, whatever the line does."""

from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.link.isotp_line import Line
from uptane.link.can_frame import DATA_LENGTHS, Address, CanFrame, can_id_of
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    QUEUE_MESSAGES_MAX,
    RUN_FRAMES_MAX,
    Effect,
    Fault,
    FramesHeard,
    FramesSent,
    IsoTpSettings,
    LinkError,
    MessageReceived,
    MessageSent,
    Send,
    SendFrames,
    Tick,
)
from uptane.moments import Instant

PRIMARY, BRAKE = 0xF0, 0x01
TO_PRIMARY = can_id_of(Address(PRIMARY, BRAKE))
FD = IsoTpSettings(data_length=64, fd=True, brs=True)

separations = st.sampled_from([0, 100, 900, 1_000, 5_000])
paddings = st.none() | st.integers(0, 255)
settings_of = st.one_of(
    st.builds(
        IsoTpSettings,
        block_size=st.integers(0, 255),
        separation_us=separations,
        padding=paddings,
        message_length_max=st.just(9_000),
    ),
    st.builds(
        IsoTpSettings,
        fd=st.just(True),
        brs=st.booleans(),
        data_length=st.sampled_from(DATA_LENGTHS[8:]),
        block_size=st.integers(0, 255),
        separation_us=separations,
        padding=paddings,
        message_length_max=st.just(9_000),
    ),
)
messages = st.integers(1, 9_000).map(lambda length: bytes(at * 31 & 0xFF for at in range(length))) | st.binary(
    min_size=1, max_size=200
)


def line_of(settings: IsoTpSettings = IsoTpSettings(), **how: object) -> Line:  # noqa: B008
    return Line(IsoTp(PRIMARY, settings), IsoTp(BRAKE, settings), **how)  # type: ignore[arg-type]


def heard(*data: str) -> FramesHeard:
    """Frames of BRAKE to PRIMARY, in hexadecimal."""
    return FramesHeard([CanFrame(TO_PRIMARY, bytes.fromhex(each)) for each in data])


class Alone:
    """PRIMARY's machine, told by hand what happens."""

    def __init__(self, **settings: int | None) -> None:
        self.machine = IsoTp(PRIMARY, IsoTpSettings(**settings))  # type: ignore[arg-type]
        self.now = Instant(0)

    def hear(self, *data: str) -> list[Effect]:
        return list(self.machine.handle(heard(*data), self.now))

    def send(self, octets: bytes) -> list[Effect]:
        return list(self.machine.handle(Send(BRAKE, octets), self.now))

    def confirm(self, effects: list[Effect]) -> list[Effect]:
        (run,) = (effect for effect in effects if isinstance(effect, SendFrames))
        return list(self.machine.handle(FramesSent(run.ticket), self.now))

    def at(self, now: int) -> list[Effect]:
        self.now = Instant(now)
        return list(self.machine.handle(Tick(), self.now))

    def begin(self, length: int) -> None:
        """Send a message of `length` until its first frame has left."""
        assert self.confirm(self.send(bytes(length))) == []


def data_of(effects: list[Effect]) -> list[str]:
    return [
        frame.data.hex(" ").upper() for effect in effects if isinstance(effect, SendFrames) for frame in effect.frames
    ]


def faults_of(effects: list[Effect]) -> list[Fault]:
    return [effect.fault for effect in effects if isinstance(effect, LinkError)]


# ------------------------------------------------------------------------------------------------- on a good line


@given(
    both=st.tuples(settings_of, settings_of),
    there=messages,
    back=messages,
    chunks=st.lists(st.integers(1, 90), min_size=1),
)
def test_any_message_arrives_both_ways_at_once(
    both: tuple[IsoTpSettings, IsoTpSettings], there: bytes, back: bytes, chunks: list[int]
) -> None:
    line = Line(IsoTp(PRIMARY, both[0]), IsoTp(BRAKE, both[1]), chunks=cycle(chunks))
    line.send(line.one, BRAKE, there)
    line.send(line.other, PRIMARY, back)
    line.run()
    assert line.other.received == [there]
    assert line.one.received == [back]
    assert line.one.faults == line.other.faults == []
    assert line.one.sent == line.other.sent == 1
    assert line.one.machine.ignored == line.other.machine.ignored == 0
    for frame in line.frames:
        assert len(frame.data) in DATA_LENGTHS
        assert frame.fd or len(frame.data) <= 8


@pytest.mark.parametrize("settings", [IsoTpSettings(), FD], ids=["classic", "fd"])
@pytest.mark.parametrize("length", [*range(1, 80), 4094, 4095])
def test_every_short_length_and_the_longest_arrive(settings: IsoTpSettings, length: int) -> None:
    line = line_of(settings)
    line.send(line.one, BRAKE, bytes(range(1, 256))[:length].ljust(length, b"\x5a"))
    line.run()
    assert [len(each) for each in line.other.received] == [length]
    assert line.one.faults == line.other.faults == []


def test_messages_beyond_4095_octets_use_the_escape() -> None:
    settings = IsoTpSettings(message_length_max=70_000)
    line = line_of(settings)
    message = bytes(at & 0xFF for at in range(70_000))
    line.send(line.one, BRAKE, message)
    line.run()
    assert line.other.received == [message]
    assert line.frames[0].data[:6] == b"\x10\x00" + (70_000).to_bytes(4, "big")


def test_runs_are_bounded_and_each_waits_for_the_one_before() -> None:
    alone = Alone(message_length_max=70_000)
    alone.begin(10_000)
    effects = alone.hear("30 00 00")
    lengths = []
    while run := [effect for effect in effects if isinstance(effect, SendFrames)]:
        (one,) = run
        lengths.append(len(one.frames))
        effects = alone.confirm(effects)
    assert effects == [MessageSent(BRAKE, functional=False)]
    assert sum(lengths) == -(-(10_000 - 2) // 7)
    assert set(lengths[:-1]) == {RUN_FRAMES_MAX}


def test_two_peers_are_received_from_at_once() -> None:
    machine = IsoTp(PRIMARY, IsoTpSettings())
    first = {peer: CanFrame(can_id_of(Address(PRIMARY, peer)), bytes.fromhex("100A010203040506")) for peer in (1, 2)}
    rest = {peer: CanFrame(frame.can_id, bytes.fromhex("2107080910")) for peer, frame in first.items()}
    effects = machine.handle(FramesHeard([first[1], first[2], rest[1], rest[2]]), Instant(0))
    received = [effect for effect in effects if isinstance(effect, MessageReceived)]
    assert [(each.peer, len(each.octets)) for each in received] == [(1, 10), (2, 10)]


# ------------------------------------------------------------------------------------------------ on a lossy line

SHORT_BLOCKS = {
    "classic": IsoTpSettings(block_size=3),
    "unpadded": IsoTpSettings(block_size=3, padding=None),
    "fd": IsoTpSettings(data_length=12, fd=True, block_size=3),
}


@pytest.mark.parametrize("settings", SHORT_BLOCKS.values(), ids=SHORT_BLOCKS)
@pytest.mark.parametrize("times", [0, 2], ids=["lost", "twice"])
@pytest.mark.parametrize("at", range(12))
def test_a_frame_lost_or_twice_anywhere_is_an_error_and_the_next_message_arrives(
    settings: IsoTpSettings, times: int, at: int
) -> None:
    message = bytes(range(95))  # 12 or 19 frames, flow control included
    line = line_of(settings, passes=lambda number, _frame: times if number == at else 1)
    line.send(line.one, BRAKE, message)
    line.run()
    if times == 2 and _may_come_twice(line.frames[at], last=at == len(line.frames) - 1):
        assert line.other.received[-1:] == [message]
    else:
        assert line.other.received == []
        assert line.one.faults + line.other.faults
    line.send(line.one, BRAKE, b"next, and longer than one frame")
    line.run()
    assert line.other.received[-1] == b"next, and longer than one frame"
    assert line.now <= 3_000


def _may_come_twice(frame: CanFrame, *, last: bool) -> bool:
    """A second flow control is not awaited; a second first frame begins anew; after the last one nothing is awaited."""
    return frame.data[0] >> 4 in {1, 3} or last


@given(
    lost=st.sets(st.integers(0, 200), max_size=12),
    twice=st.sets(st.integers(0, 200), max_size=6),
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=QUEUE_MESSAGES_MAX),
)
def test_whatever_is_lost_no_message_is_damaged_and_all_comes_to_rest(
    lost: set[int], twice: set[int], lengths: list[int]
) -> None:
    settings = IsoTpSettings(block_size=7)
    line = line_of(settings, passes=lambda number, _frame: 0 if number in lost else 2 if number in twice else 1)
    wanted = [bytes([at]) * length for at, length in enumerate(lengths)]
    for message in wanted:
        line.send(line.one, BRAKE, message)
    line.run()
    assert all(message in wanted for message in line.other.received)
    assert line.one.sent + len([fault for fault in line.one.faults if fault.of_sending]) == len(wanted)
    assert line.one.machine.deadline() is line.other.machine.deadline() is None


@given(st.lists(st.lists(st.binary(max_size=64), max_size=12), max_size=12))
def test_any_frames_at_all_are_survived(batches: list[list[bytes]]) -> None:
    alone = Alone(block_size=4, message_length_max=500)
    alone.send(bytes(300))
    for batch in batches:
        effects = alone.machine.handle(FramesHeard([CanFrame(TO_PRIMARY, data, fd=True) for data in batch]), alone.now)
        assert all(len(each.octets) <= 500 for each in effects if isinstance(each, MessageReceived))
    alone.at(alone.now + 1_000)
    alone.at(alone.now + 2_000)
    assert alone.machine.deadline() is None
    assert MessageReceived(BRAKE, b"\x3e\x00", functional=False) in alone.hear("02 3E 00 AA AA AA AA AA")


# ------------------------------------------------------------------------------------------------------ receiving


def test_a_wrong_sequence_number_loses_the_message_at_once() -> None:
    alone = Alone()
    alone.hear("10 20 01 02 03 04 05 06", "21 07 08 09 0A 0B 0C 0D")
    assert faults_of(alone.hear("23 0E 0F 10 11 12 13 14")) == [Fault.WRONG_SEQUENCE]
    assert alone.machine.deadline() is None
    assert alone.hear("24 15 16 17 18 19 1A 1B", "25 15 16 17 18 19 1A 1B") == []
    assert alone.machine.ignored == 2


@pytest.mark.parametrize("after_first", [0, 1])
def test_n_cr_runs_out_to_the_millisecond(after_first: int) -> None:
    alone = Alone()
    alone.hear("10 20 01 02 03 04 05 06", *["21 07 08 09 0A 0B 0C 0D"][:after_first])
    assert alone.at(999) == []
    assert faults_of(alone.at(1_000)) == [Fault.TIMEOUT_CR]


def test_each_frame_starts_n_cr_again() -> None:
    alone = Alone()
    alone.hear("10 20 01 02 03 04 05 06")
    alone.at(900)
    alone.hear("21 07 08 09 0A 0B 0C 0D")
    assert alone.at(1_899) == []
    assert faults_of(alone.at(1_900)) == [Fault.TIMEOUT_CR]


@pytest.mark.parametrize(
    ("frame", "answer"),
    [("02 3E 00 AA AA AA AA AA", []), ("10 0A 01 02 03 04 05 06", ["30 40 00 AA AA AA AA AA"])],
    ids=["single", "first"],
)
def test_a_new_message_ends_the_one_being_received(frame: str, answer: list[str]) -> None:
    alone = Alone()
    alone.hear("10 20 01 02 03 04 05 06")
    effects = alone.hear(frame)
    assert faults_of(effects) == [Fault.UNEXPECTED]
    assert data_of(effects) == answer
    if not answer:
        assert MessageReceived(BRAKE, b"\x3e\x00", functional=False) in effects


def test_a_message_above_the_limit_is_refused_at_its_first_frame_and_one_at_the_limit_is_not() -> None:
    alone = Alone(message_length_max=20)
    effects = alone.hear("10 15 01 02 03 04 05 06")
    assert faults_of(effects) == [Fault.TOO_LONG]
    assert data_of(effects) == ["32 40 00 AA AA AA AA AA"]
    assert alone.machine.deadline() is None
    assert data_of(alone.hear("10 14 01 02 03 04 05 06")) == ["30 40 00 AA AA AA AA AA"]


def test_the_longest_claim_there_is_is_refused() -> None:
    alone = Alone()
    assert faults_of(alone.hear("10 00 FF FF FF FF 01 02")) == [Fault.TOO_LONG]


@pytest.mark.parametrize(
    "frame",
    ["21 07 08 09 0A 0B 0C", "21", "21 07 08 09 0A 0B 0C 0D 0E 0F 10 11"],
    ids=["one octet short", "empty", "of CAN FD length"],
)
def test_consecutive_frames_of_another_length_are_ignored(frame: str) -> None:
    alone = Alone()
    alone.hear("10 20 01 02 03 04 05 06")
    assert alone.hear(frame) == []
    assert alone.machine.ignored == 1
    assert alone.hear("21 07 08 09 0A 0B 0C 0D") == []
    assert alone.machine.ignored == 1


def test_a_last_frame_may_be_padded_or_not_but_not_too_short() -> None:
    for last, good in (("21 07 08 09", True), ("21 07 08 09 AA AA AA AA", True), ("21 07 08", False)):
        alone = Alone()
        effects = alone.hear("10 09 01 02 03 04 05 06", last)
        assert (MessageReceived(BRAKE, bytes(range(1, 10)), functional=False) in effects) is good


def test_a_run_with_one_frame_of_another_length_is_not_taken_in_bulk() -> None:
    # Together as long as two frames of 8 octets, and the second one's number where the bulk check looks for it.
    alone = Alone()
    alone.hear("10 40 01 02 03 04 05 06")
    assert alone.hear("21 01 02 03 04 05 06 07 22 01 02 03", "23 04 05 06") == []
    assert alone.machine.ignored == 2


def test_flow_control_asks_for_what_the_settings_say() -> None:
    assert data_of(Alone(block_size=8, separation_us=300).hear("10 20 01 02 03 04 05 06")) == [
        "30 08 F3 AA AA AA AA AA"
    ]
    assert data_of(Alone(padding=None).hear("10 20 01 02 03 04 05 06")) == ["30 40 00"]


def test_any_priority_is_heard_and_other_targets_and_ourselves_are_not() -> None:
    machine = IsoTp(PRIMARY, IsoTpSettings())
    data = bytes.fromhex("023E00AAAAAAAAAA")
    for can_id, count in ((0x18DAF001, 1), (0x00DAF001, 1), (0x1CDA0201, 0), (0x1CDAF0F0, 0), (0x1CEFF001, 0)):
        assert len(machine.handle(FramesHeard([CanFrame(can_id, data)]), Instant(0))) == count
    assert machine.ignored == 0


def test_a_functional_message_is_one_frame_and_ends_no_reception() -> None:
    machine = IsoTp(BRAKE, IsoTpSettings())
    to_all = can_id_of(Address(0x33, PRIMARY, functional=True))
    to_us = can_id_of(Address(BRAKE, PRIMARY))
    frames = [
        CanFrame(to_us, bytes.fromhex("1009010203040506")),
        CanFrame(to_all, bytes.fromhex("1009010203040506")),  # functional messages have no second frame
        CanFrame(to_all, bytes.fromhex("300000AAAAAAAAAA")),
        CanFrame(to_all, bytes.fromhex("023E80AAAAAAAAAA")),
        CanFrame(to_us, bytes.fromhex("21070809AAAAAAAA")),
    ]
    effects = machine.handle(FramesHeard(frames), Instant(0))
    assert [effect for effect in effects if not isinstance(effect, SendFrames)] == [
        MessageReceived(PRIMARY, b"\x3e\x80", functional=True),
        MessageReceived(PRIMARY, bytes(range(1, 10)), functional=False),
    ]
    assert machine.ignored == 2


# -------------------------------------------------------------------------------------------------------- sending


def test_wait_frames_are_granted_up_to_the_limit() -> None:
    alone = Alone(wait_frames_max=3)
    alone.begin(20)
    for now in (900, 1_800, 2_700):
        assert alone.at(now) == []
        assert alone.hear("31 00 00") == []
    assert alone.at(3_600) == []
    assert len(data_of(alone.hear("30 00 00"))) == 2


def test_one_wait_frame_too_many_loses_the_message() -> None:
    alone = Alone(wait_frames_max=3)
    alone.begin(20)
    assert alone.hear("31 00 00", "31 00 00", "31 00 00") == []
    assert faults_of(alone.hear("31 00 00")) == [Fault.WAITED_TOO_OFTEN]
    assert alone.hear("30 00 00") == []


def test_the_count_of_wait_frames_begins_anew_with_each_block() -> None:
    alone = Alone(wait_frames_max=1)
    alone.begin(60)
    for _ in range(3):
        assert alone.hear("31 00 00") == []
        assert alone.confirm(alone.hear("30 02 00")) == []


@pytest.mark.parametrize(
    ("flow", "fault"),
    [("32 00 00", Fault.PEER_OVERFLOW), ("33 00 00", Fault.INVALID_FLOW), ("3F 00 00", Fault.INVALID_FLOW)],
)
def test_a_refusing_flow_control_loses_the_message_and_the_next_one_goes(flow: str, fault: Fault) -> None:
    alone = Alone()
    alone.begin(20)
    assert alone.send(b"next") == []
    effects = alone.hear(flow)
    assert faults_of(effects) == [fault]
    assert data_of(effects) == ["04 6E 65 78 74 AA AA AA"]


def test_n_bs_runs_out_to_the_millisecond_after_the_frames_have_left() -> None:
    alone = Alone()
    effects = alone.send(bytes(20))
    alone.at(500)
    alone.confirm(effects)
    assert alone.at(1_499) == []
    assert faults_of(alone.at(1_500)) == [Fault.TIMEOUT_BS]


def test_frames_that_never_leave_are_given_up() -> None:
    alone = Alone()
    effects = alone.send(bytes(20))
    assert alone.at(999) == []
    assert faults_of(alone.at(1_000)) == [Fault.TIMEOUT_A]
    assert alone.confirm(effects) == []  # too late


def test_separations_go_to_the_port_and_lengthen_its_time() -> None:
    alone = Alone()
    alone.begin(4_000)
    (run,) = alone.hear("30 00 7F")
    assert isinstance(run, SendFrames)
    assert run.separation_us == 127_000
    assert alone.at(len(run.frames) * 127 + 999) == []
    assert faults_of(alone.at(len(run.frames) * 127 + 1_000)) == [Fault.TIMEOUT_A]


def test_block_size_and_separation_may_change_with_each_flow_control() -> None:
    alone = Alone()
    alone.begin(100)
    (run,) = effects = alone.hear("30 02 F1")
    assert isinstance(run, SendFrames)
    assert (len(run.frames), run.separation_us) == (2, 100)
    assert alone.confirm(effects) == []
    (run,) = alone.hear("30 05 02")
    assert isinstance(run, SendFrames)
    assert (len(run.frames), run.separation_us) == (5, 2_000)


def test_flow_control_may_come_before_the_port_says_that_the_frames_have_left() -> None:
    alone = Alone()
    effects = alone.send(bytes(20))
    assert alone.hear("31 00 00", "30 00 00") == []
    assert len(data_of(alone.confirm(effects))) == 2


def test_flow_control_that_nobody_awaits_is_ignored() -> None:
    alone = Alone()
    assert alone.hear("30 00 00", "32 00 00") == []
    alone.begin(100)
    effects = alone.hear("30 08 00")
    assert alone.hear("32 00 00") == []  # the block is not over yet, but it will be: judged when it is
    assert faults_of(alone.confirm(effects)) == [Fault.PEER_OVERFLOW]
    alone.begin(1_000)
    effects = alone.hear("30 00 00")
    assert alone.hear("32 00 00", "30 00 00") == []
    assert len(data_of(alone.confirm(effects))) == RUN_FRAMES_MAX


def test_messages_queue_up_in_order_and_no_further_than_the_limit() -> None:
    alone = Alone()
    effects = alone.send(b"0")
    for at in range(1, QUEUE_MESSAGES_MAX + 1):
        assert alone.send(b"%d" % at) == []
    assert faults_of(alone.send(b"x")) == [Fault.QUEUE_FULL]
    texts = []
    while data := data_of(effects):
        texts += data
        effects = alone.confirm(effects)
        assert isinstance(effects[0], MessageSent)
    assert [bytes.fromhex(text)[1:2] for text in texts] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_functional_message_goes_to_the_group() -> None:
    machine = IsoTp(PRIMARY, IsoTpSettings())
    (run,) = machine.handle(Send(0x33, b"\x3e\x80", functional=True), Instant(0))
    assert isinstance(run, SendFrames)
    assert [frame.can_id for frame in run.frames] == [0x1CDB33F0]
    assert machine.handle(FramesSent(run.ticket), Instant(0)) == [MessageSent(0x33, functional=True)]


def test_a_ticket_that_nobody_gave_means_nothing() -> None:
    alone = Alone()
    alone.begin(20)
    assert alone.machine.handle(FramesSent(77), Instant(0)) == []
    assert alone.machine.handle(FramesSent(BRAKE), Instant(0)) == []
    assert alone.machine.deadline() == 1_000


def test_every_fault_says_whose_message_was_lost() -> None:
    assert {fault.name for fault in Fault if not fault.of_sending} == {
        "TIMEOUT_CR",
        "WRONG_SEQUENCE",
        "UNEXPECTED",
        "TOO_LONG",
    }
