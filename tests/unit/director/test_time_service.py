"""The time service says the time to who asks, and nothing when its clock is wrong."""

from __future__ import annotations

import pytest

from director.time_service import (
    BUILD_TIME,
    MARK_STEP_S,
    NONCES_MAX,
    Asked,
    Attested,
    ClockWrong,
    Mark,
    TimeService,
    Unanswerable,
)
from tests.unit.director.garage import CODEC, NOW, VERIFIER, signer
from uptane.errors import Check
from uptane.model.reports import TimeAttestation
from uptane.moments import Instant, UtcTime
from uptane.verify.threshold import accept_from

KEY = signer("time")
START = Instant(0)


def service(floor: int = 0, mark: int = 0) -> TimeService:
    return TimeService(CODEC, KEY, floor=UtcTime(floor), mark=UtcTime(mark))


def asked(utc: int, *nonces: bytes) -> Asked:
    return Asked(nonces or (b"n" * 16,), UtcTime(utc))


def said(envelope: bytes) -> TimeAttestation:
    opened = CODEC.open(envelope, 8_192)
    return accept_from(VERIFIER, opened, KEY.public, TimeAttestation, check=Check.TIME_SIGNATURES).value


def test_one_attestation_per_nonce_in_order() -> None:
    nonces = [bytes([number]) * 16 for number in range(NONCES_MAX)]
    *_, answer = service().handle(asked(NOW, *nonces), START)
    assert isinstance(answer, Attested)
    told = [said(envelope) for envelope in answer.envelopes]
    assert [each.nonce for each in told] == nonces
    assert {each.time for each in told} == {NOW}


@pytest.mark.parametrize("nonces", [(), (b"n" * 16,) * (NONCES_MAX + 1), (b"n" * 15,), (b"n" * 16, b"n" * 17), (b"",)])
def test_what_is_no_question(nonces: tuple[bytes, ...]) -> None:
    [effect] = service().handle(Asked(nonces, NOW), START)
    assert isinstance(effect, Unanswerable)


@pytest.mark.parametrize("utc", [0, BUILD_TIME - 1])
def test_a_clock_before_the_build(utc: int) -> None:
    [effect] = service().handle(asked(utc), START)
    assert isinstance(effect, ClockWrong)
    assert isinstance(service().handle(asked(BUILD_TIME), START)[-1], Attested)


@pytest.mark.parametrize(("floor", "mark"), [(NOW, 0), (0, NOW)])
def test_a_clock_before_the_floor_or_what_was_said(floor: int, mark: int) -> None:
    assert isinstance(service(floor, mark).handle(asked(NOW - 1), START)[-1], ClockWrong)
    assert isinstance(service(floor, mark).handle(asked(NOW), START)[-1], Attested)


def test_never_earlier_than_before() -> None:
    present = service()
    present.handle(asked(NOW), START)
    assert isinstance(present.handle(asked(NOW - 1), START)[-1], ClockWrong)
    assert isinstance(present.handle(asked(NOW), START)[-1], Attested)


def test_what_is_said_is_marked_first_and_once_a_minute() -> None:
    present = service()
    effects = present.handle(asked(NOW), START)
    assert [type(effect) for effect in effects] == [Mark, Attested]
    assert [type(effect) for effect in present.handle(asked(NOW + MARK_STEP_S - 1), START)] == [Attested]
    assert present.handle(asked(NOW + MARK_STEP_S), START)[0] == Mark(UtcTime(NOW + MARK_STEP_S))
    assert present.deadline() is None
