"""The journal: its stages, its octets, and what it remembers of bundles that were rolled back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primary import journal
from primary.journal import HISTORY_MAX, NEXT, REASON_LENGTH_MAX, Journal, Stage, Transactions
from uptane.errors import StorageFailure
from uptane.model.ids import Bundle, EcuId

BUNDLE = Bundle(b"b" * 32)
ONE = Journal(BUNDLE, 7, Stage.PREPARING, (EcuId("a"), EcuId("b"), EcuId("p")), coordinated=True)

ecus = st.lists(st.sampled_from(["a", "b", "c", "primary/1"]), unique=True, max_size=4).map(
    lambda names: tuple(EcuId(name) for name in names)
)
journals = st.builds(
    Journal,
    bundle=st.binary(min_size=32, max_size=32).map(Bundle),
    targets_version=st.integers(1, 2**32 - 1),
    stage=st.sampled_from(Stage),
    participants=ecus,
    coordinated=st.booleans(),
    safe_set=ecus,
    excused=ecus,
    reason=st.text(max_size=REASON_LENGTH_MAX),
)


@given(st.none() | journals, st.lists(journals, max_size=3))
def test_what_is_written_is_read(current: Journal | None, past: list[Journal]) -> None:
    transactions = Transactions()
    for each in past:
        transactions = transactions.under(replace(each, stage=Stage.ROLLING_BACK)).ended()
    transactions = replace(transactions, journal=current)
    assert journal.load(journal.dump(transactions)) == transactions


def test_nothing_written_is_nothing_under_way() -> None:
    assert journal.load(None) == Transactions()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 2, "journal": null, "rolledBack": []}',
        b'{"format": 1}',
        b'{"format": 1, "journal": {"stage": "asleep"}, "rolledBack": []}',
        b'{"format": 1, "journal": null, "rolledBack": [["zz", 1, ""]]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_or_unknown_record_is_said(octets: bytes) -> None:
    with pytest.raises(StorageFailure):
        journal.load(octets)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("after", list(Stage))
def test_stages_follow_the_table_only(stage: Stage, after: Stage) -> None:
    begun = replace(ONE, stage=stage)
    if (stage, after) in NEXT:
        assert begun.at(after).stage is after
    else:
        with pytest.raises(AssertionError):
            begun.at(after)


def test_once_it_says_commit_there_is_only_forward() -> None:
    assert {after for stage, after in NEXT if stage is Stage.COMMITTING} == {Stage.RELEASING}
    assert {after for stage, after in NEXT if stage is Stage.RELEASING} == set()
    assert {after for stage, after in NEXT if stage is Stage.ROLLING_BACK} == set()


def test_only_preparing_may_still_be_cancelled() -> None:
    assert [stage for stage in Stage if not replace(ONE, stage=stage).begun] == [Stage.PREPARING]


def test_a_bundle_rolled_back_is_remembered_under_its_version() -> None:
    ended = Transactions().under(replace(ONE, stage=Stage.ROLLING_BACK, reason="camera: no vote")).ended()
    assert ended.journal is None
    assert ended.was_rolled_back(BUNDLE, 7)
    assert not ended.was_rolled_back(BUNDLE, 8)
    assert not ended.was_rolled_back(Bundle(b"c" * 32), 7)
    assert Transactions().under(replace(ONE, stage=Stage.RELEASING)).ended() == Transactions()


def test_the_memory_of_what_was_rolled_back_is_bounded() -> None:
    transactions = Transactions()
    for version in range(HISTORY_MAX + 3):
        one = replace(ONE, stage=Stage.ROLLING_BACK, targets_version=version)
        transactions = transactions.under(one).ended()
    assert [past.targets_version for past in transactions.rolled_back] == list(range(3, HISTORY_MAX + 3))


def test_those_excused_no_longer_count() -> None:
    assert replace(ONE, excused=(EcuId("b"),)).counting() == ("a", "p")


def test_a_reason_is_bounded() -> None:
    begun = replace(ONE, stage=Stage.ACTIVATING)
    assert len(begun.at(Stage.ROLLING_BACK, "x" * 1_000).reason) == REASON_LENGTH_MAX
