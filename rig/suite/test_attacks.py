"""Every attack that can be played on a bus: refused by the check that is there for it, and nothing has moved."""

from __future__ import annotations

import pytest

from rig.suite import full_rows, install_rows, metadata_rows
from rig.suite.metadata_rows import Row
from rig.under_test import UnderTest, refused

ROWS = (*metadata_rows.rows(), *full_rows.rows(), *install_rows.rows())
REPORTED_MAX = 8  # checks that a report names; an ECU that has refused more of them names the lowest


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_attack(ecu: UnderTest, row: Row) -> None:
    """Somebody on the bus tries it; the ECU refuses, names the check, counts it in its signed report, and works on."""
    before = ecu.standing()
    assert refused(lambda: row.play(ecu)) == (row.check if row.nrc is None else row.nrc)
    assert ecu.tester.refusal() is row.check
    report = ecu.tester.report()
    codes = [refusal.check for refusal in report.refusals]
    assert row.check.code in codes or len(codes) >= REPORTED_MAX
    after = ecu.standing()
    if row.moves:
        assert after.image == before.image or after.image.release_counter > before.image.release_counter
    else:
        assert after == before
