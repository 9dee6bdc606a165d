"""Workflows side by side: order, pauses, failures."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from primary.needs import Announce, Load, Note, Now, Perform, Step, Together
from primary.tasks import Tasks
from uptane.errors import LinkFailure, StorageFailure
from uptane.link.uds_client import Pause
from uptane.moments import Instant

Flow = Generator[Any, Any, Any]
ZERO = Instant(0)


def outcome(tasks: Tasks[Any]) -> Any:
    assert tasks.outcome is not None
    return tasks.outcome[0]


def test_a_need_leaves_with_a_ticket_and_its_answer_goes_back() -> None:
    def main() -> Flow:
        first = yield Load("a")
        second = yield Load("b")
        return first + second

    tasks: Tasks[bytes] = Tasks(main())
    (asked,) = tasks.start(ZERO)
    (asked,) = tasks.done(asked.ticket, b"1", ZERO)
    assert tasks.outcome is None
    assert tasks.done(asked.ticket, b"2", ZERO) == []
    assert outcome(tasks) == b"12"


def test_an_answer_that_is_a_failure_is_raised_and_may_be_caught() -> None:
    def main() -> Flow:
        try:
            yield Load("a")
        except StorageFailure:
            return "caught"

    tasks: Tasks[str] = Tasks(main())
    (asked,) = tasks.start(ZERO)
    tasks.done(asked.ticket, StorageFailure("x"), ZERO)
    assert outcome(tasks) == "caught"


def test_a_failure_nobody_catches_is_the_outcome_and_a_bug_is_not() -> None:
    def failing() -> Flow:
        yield Load("a")

    tasks: Tasks[str] = Tasks(failing())
    (asked,) = tasks.start(ZERO)
    tasks.done(asked.ticket, LinkFailure("gone"), ZERO)
    assert isinstance(outcome(tasks), LinkFailure)

    def buggy() -> Flow:
        yield Now()
        raise KeyError

    with pytest.raises(KeyError):
        Tasks(buggy()).start(ZERO)


def test_together_gives_results_in_order_and_one_failure_spoils_no_other() -> None:
    def child(name: str) -> Flow:
        return (yield Load(name))

    def main() -> Flow:
        return (yield Together((child("a"), child("b"), child("c"))))

    tasks: Tasks[Any] = Tasks(main())
    asked = {effect.need.name: effect.ticket for effect in tasks.start(ZERO)}
    assert list(asked) == ["a", "b", "c"]
    tasks.done(asked["c"], 3, ZERO)
    tasks.done(asked["b"], LinkFailure("b"), ZERO)
    tasks.done(asked["a"], 1, ZERO)
    first, second, third = outcome(tasks)
    assert (first, third) == (1, 3)
    assert isinstance(second, LinkFailure)


def test_nobody_together_is_done_at_once() -> None:
    def main() -> Flow:
        return (yield Together(()))

    tasks: Tasks[Any] = Tasks(main())
    tasks.start(ZERO)
    assert outcome(tasks) == ()


def test_pauses_end_in_order_and_not_before_their_time() -> None:
    def child(name: str, pause_ms: int) -> Flow:
        yield Pause(pause_ms)
        yield Note(Step.DONE, name)

    def main() -> Flow:
        yield Together((child("late", 200), child("early", 100), child("early too", 100)))

    tasks: Tasks[None] = Tasks(main())
    assert tasks.start(Instant(1_000)) == []
    assert tasks.deadline() == 1_100
    assert tasks.tick(Instant(1_099)) == []
    assert [note.text for note in tasks.tick(Instant(1_100))] == ["early", "early too"]
    assert tasks.deadline() == 1_200
    assert [note.text for note in tasks.tick(Instant(5_000))] == ["late"]
    assert tasks.deadline() is None
    assert tasks.outcome is not None


def test_now_notes_and_announcements_are_answered_at_once() -> None:
    def main() -> Flow:
        now = yield Now()
        yield Note(Step.DONE, "said")
        yield Announce("effect")
        return now

    tasks: Tasks[Instant] = Tasks(main())
    note, effect = tasks.start(Instant(77))
    assert isinstance(note, Note)
    assert effect == "effect"
    assert outcome(tasks) == 77


def test_a_ticket_is_answered_once() -> None:
    def main() -> Flow:
        yield Load("a")
        yield Load("b")

    tasks: Tasks[None] = Tasks(main())
    (asked,) = tasks.start(ZERO)
    assert isinstance(asked, Perform)
    tasks.done(asked.ticket, None, ZERO)
    with pytest.raises(KeyError):
        tasks.done(asked.ticket, None, ZERO)
