"""Every row of the attack table, against each ECU it is meant for: refused by the very check, and nothing has moved."""

from collections import Counter

import pytest

from tests.attacks.row import Row
from tests.attacks.table import ROWS
from tests.builders import Bench, Pair
from uptane.errors import Check, Malformed, Rejected, check_of
from uptane.model.ids import EcuId, Repository

# 0x01 to 0x09 and 0x0C are verification's; the other groups are judged by the Director, the link and the shells.
GROUPS = (*range(0x01, 0x0A), 0x0C)
CASES = [(row, ecu) for row in ROWS for ecu in row.on]


@pytest.mark.parametrize(("row", "ecu"), CASES, ids=[f"{row.name}-{ecu}" for row, ecu in CASES])
def test_an_attack_is_refused_by_its_check_and_moves_nothing(row: Row, ecu: EcuId) -> None:
    bench = Bench(Pair(), ecu)
    bench.pair.update()
    row.tamper(bench)
    before = trusted_files(bench, row)
    with pytest.raises((Rejected, Malformed)) as refusal:
        row.run(bench)
    refused = refusal.value
    assert isinstance(refused, Rejected | Malformed)
    assert check_of(refused) is row.check, refused
    assert trusted_files(bench, row) == before


def test_every_check_of_verification_has_a_row() -> None:
    hit = {row.check for row in ROWS}
    assert [check.name for check in Check if check.code >> 8 in GROUPS and check not in hit] == []


def test_rows_have_names_of_their_own() -> None:
    assert [name for name, count in Counter(row.name for row in ROWS).items() if count > 1] == []


def trusted_files(bench: Bench, row: Row) -> dict[tuple[Repository, str], bytes]:
    moving = {"time", *row.moves}
    return {place: octets for place, octets in bench.store.items() if place[1] not in moving}
