"""UDS requests, replies and the status: what is written is read again, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uptane.errors import LinkFailure
from uptane.link import uds_objects
from uptane.link.uds import (
    ROUTINE_DATA,
    download_data,
    encode_request,
    negative,
    parse_block_length,
    parse_reply,
    parse_request,
    parse_timing,
    positive,
    session_data,
)
from uptane.link.uds_objects import DELEGATED_MAX, Object, Place, Status, encode_status, parse_status, place_of
from uptane.link.uds_values import (
    Communication,
    Did,
    Download,
    DtcSetting,
    Negative,
    Nrc,
    OpenSession,
    Pending,
    Positive,
    Present,
    Read,
    Refused,
    Request,
    Reset,
    Routine,
    Session,
    StartRoutine,
    Transfer,
    TransferExit,
)
from uptane.model.ids import Bundle
from uptane.model.reports import EcuState, Outcome, Phase

REQUESTS: list[tuple[Request, str, str]] = [
    (OpenSession(Session.PROGRAMMING), "1002", "5002003201f4"),
    (OpenSession(Session.EXTENDED, quiet=True), "1083", "5003003201f4"),
    (Reset(), "1101", "5101"),
    (Read(Did.STATUS), "22fd00", "62fd00aa"),
    (Communication(3, 1), "280301", "6803"),
    (DtcSetting(on=False), "8502", "c502"),
    (StartRoutine(Routine.ERASE), "3101ff00", "7101ff0000"),
    (StartRoutine(Routine.CHECK, b"\xf3"), "31010202f3", "7101020200"),
    (Download(0x0001_0000, 0x1234), "34004400010000" + "00001234", "74200fff"),
    (Transfer(0xFF, b"xyz"), "36ff78797a", "76ff"),
    (TransferExit(), "37", "77"),
    (Present(quiet=True), "3e80", "7e00"),
]
DATA = {
    OpenSession: session_data(Session.DEFAULT),
    Read: b"\xaa",
    StartRoutine: ROUTINE_DATA,
    Download: download_data(4095),
}


@pytest.mark.parametrize(("request_", "wire", "answer"), REQUESTS)
def test_every_request_and_its_answer_have_the_octets_of_the_standard(
    request_: Request, wire: str, answer: str
) -> None:
    octets = encode_request(request_)
    assert octets.hex() == wire
    assert parse_request(octets) == request_
    data = DATA.get(type(request_), b"")
    assert positive(request_, data).hex() == answer
    assert parse_reply(request_, bytes.fromhex(answer)) == Positive(data)


@pytest.mark.parametrize(
    ("wire", "nrc"),
    [
        ("", Nrc.SERVICE),
        ("27", Nrc.SERVICE),
        ("2901", Nrc.SERVICE),
        ("10", Nrc.LENGTH),
        ("1004", Nrc.SUBFUNCTION),
        ("1000", Nrc.SUBFUNCTION),
        ("100200", Nrc.LENGTH),
        ("1102", Nrc.SUBFUNCTION),
        ("110100", Nrc.LENGTH),
        ("22fd", Nrc.LENGTH),
        ("22fd00fd01", Nrc.LENGTH),
        ("2801", Nrc.LENGTH),
        ("280401", Nrc.SUBFUNCTION),
        ("280004", Nrc.RANGE),
        ("280000", Nrc.RANGE),
        ("8503", Nrc.SUBFUNCTION),
        ("3e01", Nrc.SUBFUNCTION),
        ("3102ff00", Nrc.SUBFUNCTION),
        ("3101ff", Nrc.LENGTH),
        ("31011234", Nrc.RANGE),
        ("3101ff0000", Nrc.LENGTH),
        ("31010202", Nrc.LENGTH),
        ("31010202f3f3", Nrc.LENGTH),
        ("34004400000000000000", Nrc.LENGTH),
        ("3410440000000000000001", Nrc.RANGE),
        ("3400330000000000000001", Nrc.RANGE),
        ("3400440000000000000000", Nrc.RANGE),
        ("340044000000000000000100", Nrc.LENGTH),
        ("3601", Nrc.LENGTH),
        ("36", Nrc.LENGTH),
        ("3601" + "00" * 4094, Nrc.LENGTH),
        ("3700", Nrc.LENGTH),
    ],
)
def test_a_request_that_is_none_is_refused_with_the_code_of_the_standard(wire: str, nrc: Nrc) -> None:
    with pytest.raises(Refused) as caught:
        parse_request(bytes.fromhex(wire))
    assert caught.value.nrc is nrc


@given(
    st.binary(max_size=40) | st.builds(lambda a, b: bytes([a]) + b, st.sampled_from([0x10, 0x31, 0x34]), st.binary())
)
def test_any_octets_are_a_request_or_refused_and_a_request_has_one_encoding(octets: bytes) -> None:
    try:
        request = parse_request(octets)
    except Refused:
        return
    assert encode_request(request) == octets


@given(st.sampled_from([request for request, _, _ in REQUESTS]), st.binary(max_size=12))
def test_any_octets_are_a_reply_or_a_link_failure(request_: Request, octets: bytes) -> None:
    try:
        parse_reply(request_, octets)
    except LinkFailure:
        return
    assert octets[0] in {0x7F, encode_request(request_)[0] + 0x40}


def test_negative_replies_are_three_octets_and_name_the_service_asked_for() -> None:
    request = StartRoutine(Routine.ERASE)
    assert negative(0x31, Nrc.CONDITIONS) == bytes.fromhex("7f3122")
    assert parse_reply(request, bytes.fromhex("7f3122")) == Negative(0x22)
    assert parse_reply(request, bytes.fromhex("7f3178")) == Pending()
    assert parse_reply(request, bytes.fromhex("7f31ee")) == Negative(0xEE)
    for other in ("7f1022", "7f31", "7f312200", "7101020200", "7101ff00", "", "7101ff000000"):
        with pytest.raises(LinkFailure):
            parse_reply(request, bytes.fromhex(other))


def test_timing_and_block_length_of_answers() -> None:
    assert parse_timing(session_data(Session.EXTENDED)) == (50, 5000)
    assert parse_block_length(download_data(1000)) == 1000
    assert parse_block_length(bytes.fromhex("20ffff")) == 4095
    for wrong in ("200002", "100fff"):
        with pytest.raises(LinkFailure):
            parse_block_length(bytes.fromhex(wrong))


def test_objects_lie_at_their_addresses_and_nowhere_else() -> None:
    for item in Object:
        assert place_of(item << 24) == Place(item)
        assert Place(item).address == item << 24
        assert place_of((item << 24) + 1) is None
        assert (place_of((item << 24) + 0x10000) is not None) == (item is Object.DELEGATED)
    assert place_of(0xF800_0000 + (DELEGATED_MAX - 1) * 0x10000) == Place(Object.DELEGATED, DELEGATED_MAX - 1)
    for address in (0, 0xEFFF_FFFF, 0xF900_0000, 0xFC00_0000, 0xFFFF_FFFF, 0xF800_0000 + DELEGATED_MAX * 0x10000):
        assert place_of(address) is None
    assert set(uds_objects.LENGTH_MAX) == set(Object)


STATUS = Status(
    state=EcuState.PREPARED,
    outcome=Outcome.ROLLED_BACK,
    running_slot=1,
    time_attested=True,
    director_root=3,
    image_root=4,
    targets_version=7,
    next_offset=65536,
    entry_digest=bytes(range(32)),
    bundle=Bundle(bytes(range(1, 33))),
    report_counter=99,
    last_phase=Phase.ACTIVATE,
)


def test_the_status_has_90_octets_and_is_read_again() -> None:
    octets = encode_status(STATUS)
    assert len(octets) == 90
    assert octets[:5].hex() == "0101020101"
    assert octets[17:21].hex() == "00010000"
    assert parse_status(octets) == STATUS
    for at, value in ((0, 2), (1, 6), (3, 2), (4, 2), (89, 5)):
        with pytest.raises(LinkFailure):
            parse_status(octets[:at] + bytes([value]) + octets[at + 1 :])
    assert parse_status(octets[:2] + b"\x05" + octets[3:]).outcome is Outcome.OTHER, "a newer ECU's word"
    for wrong in (octets[:-1], octets + b"\x00", b""):
        with pytest.raises(LinkFailure):
            parse_status(wrong)


def test_the_latest_refusal_is_two_octets() -> None:
    assert uds_objects.parse_refusal(uds_objects.encode_refusal(0x0A01)) == 0x0A01
    with pytest.raises(LinkFailure):
        uds_objects.parse_refusal(b"\x01")
