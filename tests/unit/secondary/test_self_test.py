"""The self-test hook: exit status, hash, and images that do not come up."""

import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from secondary.needs import SelfTest, Verdict
from secondary.shell.self_test import SelfTestHook
from secondary.shell.slots import Slots

OCTETS = b"image" * 20
TEST = SelfTest(1, len(OCTETS), sha256(OCTETS).digest())


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    slots = Slots(tmp_path, 1_000)
    slots.install(1, OCTETS)
    return slots


def test_without_a_command_the_hash_of_the_slot_decides(slots: Slots) -> None:
    hook = SelfTestHook((), 1, slots)
    assert hook.judge(TEST) is Verdict.PASSED
    slots.install(1, OCTETS[:-1])
    assert hook.judge(TEST) is Verdict.FAILED


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("raise SystemExit(0)", Verdict.PASSED),
        ("raise SystemExit(3)", Verdict.FAILED),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Verdict.DEAD),
        ("import sys; raise SystemExit(open(sys.argv[1], 'rb').read(5) != b'image')", Verdict.PASSED),
    ],
)
def test_a_command_judges_by_how_it_ends(slots: Slots, code: str, verdict: Verdict) -> None:
    assert SelfTestHook((sys.executable, "-c", code), 30, slots).judge(TEST) is verdict


def test_a_command_that_hangs_or_is_not_there_is_an_image_that_does_not_come_up(slots: Slots, tmp_path: Path) -> None:
    hanging = (sys.executable, "-c", "import threading; threading.Event().wait()")
    assert SelfTestHook(hanging, 0.2, slots).judge(TEST) is Verdict.DEAD
    assert SelfTestHook((str(tmp_path / "none"),), 1, slots).judge(TEST) is Verdict.DEAD


def test_stopping_kills_the_command_and_starts_none_any_more(slots: Slots, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = f"import pathlib, threading; pathlib.Path({str(begun)!r}).touch(); threading.Event().wait()"
    hook = SelfTestHook((sys.executable, "-c", code), 60, slots)
    verdicts: list[Verdict] = []
    thread = threading.Thread(target=lambda: verdicts.append(hook.judge(TEST)))
    thread.start()
    while not begun.exists():
        thread.join(0.01)
    hook.stop()
    thread.join(10)
    assert verdicts == [Verdict.DEAD]
    assert hook.judge(TEST) is Verdict.DEAD
