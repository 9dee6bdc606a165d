"""Consoles that go away and come back, and power switches that do not do as they are told."""

import os
import sys
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.console import LINE_MAX, Console
from rig.journal import Journal
from rig.power import NoSwitch, Power, PowerFailure
from rig.settings import ConsoleSettings, PowerKind, PowerSettings
from uptane.errors import LinkFailure

SAY = [sys.executable, "-c"]


def terminal(link: Path) -> tuple[int, int]:
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    return ours, theirs


def wait(done: Callable[[], bool]) -> None:
    """Until the console's thread has seen it; the test's own time limit ends it."""
    while not done():
        os.sched_yield()


def test_a_console_is_read_whatever_comes(tmp_path: Path) -> None:
    ours, theirs = terminal(tmp_path / "console")
    console = Console(ConsoleSettings(str(tmp_path / "console"), 115_200))
    os.write(ours, b"boot: slot 1\r\n\xff\xfe noise\n" + b"x" * (LINE_MAX + 10))
    wait(lambda: len(console.since(0)) == 3)
    mark = console.mark()
    os.write(ours, b"\nready")
    wait(lambda: len(console.since(mark)) == 2)
    assert [line.text for line in console.since(0)][:2] == ["boot: slot 1", "\\xff\\xfe noise"]
    assert [line.text for line in console.since(mark)] == ["", "ready"], "an unfinished line is told, too"
    console.write(b"reset\n")
    assert os.read(ours, 100) == b"reset\n"
    console.close()
    os.close(ours)
    os.close(theirs)


def test_a_console_that_vanishes_is_opened_again(tmp_path: Path) -> None:
    ours, theirs = terminal(tmp_path / "console")
    console = Console(ConsoleSettings(str(tmp_path / "console"), 115_200))
    os.write(ours, b"one\n")
    wait(lambda: len(console.since(0)) == 1)
    os.close(ours)
    os.close(theirs)
    wait(lambda: not console.up)
    ours, theirs = terminal(tmp_path / "console")
    wait(lambda: console.up)
    os.write(ours, b"two\n")
    wait(lambda: len(console.since(0)) == 2)
    assert [line.text for line in console.since(0)] == ["one", "two"]
    console.close()
    os.close(ours)
    os.close(theirs)


def test_a_console_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LinkFailure, match="is it plugged in"):
        Console(ConsoleSettings(str(tmp_path / "none"), 115_200))


# ------------------------------------------------------------------------------------------------------------ power


def power(tmp_path: Path, *, on: str = "", off: str = "", timeout_s: int = 10) -> Power:
    commands = [(*SAY, text) if text else () for text in (on, off)]
    settings = PowerSettings(PowerKind.COMMAND, commands[0], commands[1], timeout_s=timeout_s, off_ms=1)
    return Power(settings, tmp_path, Journal())


def test_a_command_is_run_where_the_rig_file_lies(tmp_path: Path) -> None:
    write = "import pathlib; pathlib.Path('{}').touch()"
    switch = power(tmp_path, on=write.format("on"), off=write.format("off"))
    switch.cycle()
    assert (tmp_path / "on").exists()
    assert (tmp_path / "off").exists()
    assert [event.text for event in switch.journal.events] == ["off", "on"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit('no such outlet')", "ended with 1: no such outlet"),
        ("import sys; sys.exit(3)", "ended with 3: it said nothing"),
        ("import threading; threading.Event().wait()", "did not end within 1 s"),
    ],
)
def test_a_command_that_fails(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PowerFailure, match=words):
        power(tmp_path, on=text, timeout_s=1).on()


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    settings = PowerSettings(PowerKind.COMMAND, ("no-such-program",), ("no-such-program",))
    with pytest.raises(PowerFailure, match=r"no-such-program.*cannot be run"):
        Power(settings, tmp_path, Journal()).off()


def test_a_relay_gets_its_octets(tmp_path: Path) -> None:
    ours, theirs = terminal(tmp_path / "relay")
    settings = PowerSettings(PowerKind.RELAY, ("a00101a2",), ("a00100a1",), url=str(tmp_path / "relay"))
    switch = Power(settings, tmp_path, Journal())
    switch.off()
    assert os.read(ours, 10) == bytes.fromhex("a00100a1")
    switch.on()
    assert os.read(ours, 10) == bytes.fromhex("a00101a2")
    os.close(ours)
    os.close(theirs)


def test_no_relay_and_no_switch(tmp_path: Path) -> None:
    settings = PowerSettings(PowerKind.RELAY, ("a0",), ("a1",), url=str(tmp_path / "none"))
    with pytest.raises(PowerFailure, match=r"check \[ecu.power\] url"):
        Power(settings, tmp_path, Journal()).on()
    with pytest.raises(NoSwitch):
        Power(PowerSettings(PowerKind.NONE), tmp_path, Journal()).off()
