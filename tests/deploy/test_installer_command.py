"""A command of the integrator's as the installer: what it is called with, and everything that one can do wrong."""

from __future__ import annotations

import json
import sys
import textwrap
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from primary.needs import Mark
from primary.shell import hook
from primary.shell.installer import TEXT_MAX, InstallerSettings, Kind
from primary.shell.installer_command import Hook
from primary.shell.installing import open_installer
from uptane.errors import Check, Rejected
from uptane.model.ids import Filename
from uptane.model.reports import InstalledImage

IMAGE = InstalledImage(Filename("primary/app-2"), 3, sha256(b"new").digest(), 2)


def made(folder: Path, code: str, *, timeout_s: int = 30) -> Hook:
    """A hook whose program is `code`, with `said` in it for its arguments."""
    program = folder / "hook.py"
    program.write_text("import json, os, sys, time\nsaid = sys.argv[1:]\n" + textwrap.dedent(code))
    installer = open_installer(
        InstallerSettings(Kind.COMMAND, command=(sys.executable, str(program)), timeout_s=timeout_s), folder
    )
    assert isinstance(installer, Hook)
    return installer


def refusal(check: Check, installer: Hook) -> str:
    with pytest.raises(Rejected) as refused:
        installer.install(1, Path("slot1.bin"), IMAGE)
    assert refused.value.check is check
    assert len(str(refused.value)) < TEXT_MAX + 200
    return str(refused.value)


def test_every_verb_and_its_arguments(tmp_path: Path) -> None:
    log = tmp_path / "log"
    installer = made(tmp_path, f"open({str(log)!r}, 'a').write(json.dumps(said) + chr(10)); print(1)")
    assert installer.running() == 1
    installer.install(1, tmp_path / "slot1.bin", IMAGE)
    installer.check(1, IMAGE)
    for mark in Mark:
        installer.mark(0, mark)
    installer.restart()
    digest = sha256(b"new").hexdigest()
    assert [json.loads(line) for line in log.read_text().splitlines()] == [
        ["running"],
        ["write", "1", str(tmp_path / "slot1.bin"), digest, "3"],
        ["check", "1", digest, "3"],
        ["activate", "0"],
        ["good", "0"],
        ["bad", "0"],
        ["restart"],
    ]


def test_a_no_is_a_no_and_its_words_are_passed_on(tmp_path: Path) -> None:
    code = "print('not for this board'); sys.exit(1)"
    assert "not for this board" in refusal(Check.INSTALLER_REFUSED, made(tmp_path, code))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print('disk busy'); sys.exit(75)", "not now, and is asked again: disk busy"),
        ("sys.exit(42)", "exit 42, which means nothing"),
        ("os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("time.sleep(600)", "no end within 1 s; killed"),
        ("os.fork() or time.sleep(600); time.sleep(600)", "no end within 1 s; killed"),
        ("os.close(1); os.close(2); time.sleep(600)", "no end within 1 s; killed"),
        ("while True: os.write(1, b'x' * 65536)", "octets of output; killed"),
        ("sys.stdout.buffer.write(bytes(range(256)) * 100); sys.exit(3)", "exit 3"),
    ],
)
def test_a_command_that_does_not_do_as_it_is_told(tmp_path: Path, code: str, text: str) -> None:
    assert text in refusal(Check.INSTALLER_DOWN, made(tmp_path, code, timeout_s=1))


def test_what_it_leaves_behind_neither_keeps_us_waiting_nor_is_killed(tmp_path: Path) -> None:
    """A restart that comes a moment later, for one."""
    late = tmp_path / "late"
    code = f"os.fork() and sys.exit(0)\ntime.sleep(0.5); open({str(late)!r}, 'w').write('here'); time.sleep(0.2)"
    made(tmp_path, code).restart()
    assert not late.exists()
    end = threading.Event()
    for _ in range(100):
        if late.exists():
            break
        end.wait(0.1)
    assert late.exists()


def test_a_command_that_is_not_there_or_not_executable(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    for program, why in ((tmp_path / "none", "No such file"), (plain, "Permission denied")):
        installer = Hook(InstallerSettings(Kind.COMMAND, command=(str(program),)))
        said = refusal(Check.INSTALLER_DOWN, installer)
        assert why in said
        assert "executable" in said


@pytest.mark.parametrize("said", ["", "2", "slot 1", "0\n1"])
def test_a_slot_that_is_none(tmp_path: Path, said: str) -> None:
    with pytest.raises(Rejected, match="it has to print 0 or 1"):
        made(tmp_path, f"print({said!r})").running()


def test_stopping_ends_it_and_nothing_is_started_any_more(tmp_path: Path) -> None:
    started = tmp_path / "started"
    installer = made(tmp_path, f"open({str(started)!r}, 'w').close(); time.sleep(600)")
    over: list[str] = []
    thread = threading.Thread(target=lambda: over.append(refusal(Check.INSTALLER_DOWN, installer)))
    thread.start()
    waiting = threading.Event()
    while not started.exists():
        waiting.wait(0.02)
    installer.stop()
    thread.join(20)
    assert "signal 9" in over[0]
    assert "not started" in refusal(Check.INSTALLER_DOWN, installer)


def test_output_is_kept_as_far_as_anybody_reads_it(tmp_path: Path) -> None:
    said = hook.Command().run([sys.executable, "-c", "print('x' * 100_000)"], 30)
    assert (said.status, len(said.output)) == (0, hook.OUTPUT_KEPT)
