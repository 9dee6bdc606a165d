"""The log: what was written stays as it was written, or it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from director.audit import DETAIL_LENGTH_MAX, Act, Entry, Linked, broken_at, link, shortened
from tests.unit.director.garage import NOW
from uptane.crypto import Sha2
from uptane.moments import UtcTime


def chain(length: int) -> list[Linked]:
    linked: list[Linked] = []
    for number in range(length):
        entry = Entry(UtcTime(NOW + number), "operator:anna", Act.ASSIGN, f"VIN{number}", "brake=brake-1")
        linked.append(link(linked[-1] if linked else None, entry, Sha2()))
    return linked


def test_a_chain_holds() -> None:
    assert broken_at(chain(20), Sha2()) is None
    assert broken_at([], Sha2()) is None
    assert [each.number for each in chain(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "changes", [{"utc": UtcTime(1)}, {"actor": "x"}, {"act": Act.REVOKE}, {"subject": "x"}, {"detail": ""}]
)
def test_an_altered_entry_shows(changes: dict[str, object]) -> None:
    linked = chain(5)
    linked[2] = replace(linked[2], entry=replace(linked[2].entry, **changes))  # type: ignore[arg-type]
    assert broken_at(linked, Sha2()) == 3


def test_an_entry_taken_out_shows() -> None:
    linked = chain(5)
    assert broken_at([*linked[:2], *linked[3:]], Sha2()) == 4
    assert broken_at(linked[1:], Sha2()) == 2


def test_fields_do_not_run_into_each_other() -> None:
    one = link(None, Entry(NOW, "ab", Act.ENROL, "c"), Sha2())
    two = link(None, Entry(NOW, "a", Act.ENROL, "bc"), Sha2())
    assert one.digest != two.digest


def test_details_have_a_limit() -> None:
    assert shortened("x" * DETAIL_LENGTH_MAX) == "x" * DETAIL_LENGTH_MAX
    assert len(shortened("x" * (DETAIL_LENGTH_MAX + 1))) == DETAIL_LENGTH_MAX
