"""A pytest plugin: the tests of the Python Secondary run on twins. Loaded by test_twin.py into a pytest of its own.

Every Board is a TwinBoard, so each test that passes there has the C core do all of it, too, and the same way. Tests
that turn the Python core's storage over by hand, or are about a full ECU, say nothing of it and are skipped.
"""

from typing import Any

import pytest

from sim.firmware_chip import Library
from tests.builders import FULL_ECUS, Pair
from tests.firmware.twin import LIBRARY, TwinBoard
from tests.unit.secondary import board
from uptane.model.ids import EcuId

BY_HAND = {
    "test_without_verified_metadata_every_step_is_refused_and_nothing_is_touched": "deletes a record of Python's",
    "test_provisioned_metadata_that_have_expired_authorise_nothing": "the C core is not provisioned with Targets",
    "test_targets_that_do_not_verify_change_nothing_and_are_reported_in_the_next_cycle": "as above",
    "test_metadata_that_expire_by_our_own_clock_authorise_no_erase": "as above",
    "test_activation_hashes_the_slot_again": "turns a bit of Python's slot",
    "test_a_power_cut_between_a_root_and_what_it_drops_is_made_good_at_the_next_start": "puts a Root into the store",
    "test_a_lost_counter_starts_above_every_one_used": "deletes a record of Python's",
    "test_a_count_that_is_gone_as_a_whole_is_as_lost_as_a_damaged_one": "as above",
    "test_an_older_copy_of_a_count_starts_above_the_newest_one": "puts older records into Python's store",
    "test_refusals_that_cannot_be_read_stop_no_boot": "breaks a record of Python's",
    "test_a_lost_nonce_counter_brings_no_nonce_back": "deletes a record of Python's",
    "test_an_erase_that_storage_refuses_does_not_count": "a disk that is full only for some",
    "test_a_flood_of_refused_requests_while_the_disk_is_busy_is_one_job": "feeds the Python core alone",
}


class OnTwins(TwinBoard):
    """A board of a test that knows nothing of twins."""

    library = Library(str(LIBRARY))

    def __init__(self, pair: Pair, ecu: EcuId, **facts: Any) -> None:
        if ecu in FULL_ECUS:
            pytest.skip("the C core verifies partially")
        super().__init__(pair, ecu, **facts)


board.Board = OnTwins  # type: ignore[misc]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is done by hand, each with its reason."""
    for item in items:
        name = getattr(item, "originalname", item.name)
        if name in BY_HAND:
            item.add_marker(pytest.mark.skip(reason=BY_HAND[name]))
