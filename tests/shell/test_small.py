"""What must stay small on a board and can be counted: threads, writes, modules. Their weight is `make bench`'s."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from bench import board_probe
from primary.needs import Poll, Polled, Versions
from primary.primary import Pace
from primary.shell.board import Board
from primary.shell.config import load
from primary.shell.servers import Servers
from tests.builders import key
from tests.shell.primary_site import Site
from tests.shell.repository_process import wait_for
from uptane.shell.files import Store
from uptane.shell.key_text import as_text

ONLY_FOR_COMMANDS = {
    "typer",
    "click",
    "rich",
    "pygments",
    "pydantic",
    "can",
    "serial",
    "msgpack",
    "structlog",
    "PyKCS11",
}
FOR_OTHERS = {"asn1tools", "pycrate", "sqlalchemy", "google.protobuf.text_format", "grpc.aio._base_call", "sqlite3"}
NOT_OF_A_SECONDARY = {"grpc", "google", "asyncio", "ssl", "uptane.rpc"}
RECORDS_OF_AN_UPDATE = 35  # of a vehicle of one ECU: a record more is a wear more, and wants a reason
RESIDENT = {
    "primary": "from primary.shell import memory\nmemory.load_less()\nimport primary.shell.process",
    "secondary": "import secondary.shell.board\nimport secondary.shell.process",
}


def loaded(code: str) -> set[str]:
    """The modules that a new process has after this."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.process
@pytest.mark.parametrize("role", RESIDENT)
def test_what_stays_in_memory_loads_nothing_that_only_commands_need(role: str) -> None:
    more = NOT_OF_A_SECONDARY if role == "secondary" else set()
    found = loaded(f"{RESIDENT[role]}\nimport uptane.shell.can_socket")
    assert f"{role}.shell.process" in found
    assert not found & (ONLY_FOR_COMMANDS | FOR_OTHERS | more)


@pytest.mark.process
def test_commands_that_are_over_at_once_load_no_more_than_they_need() -> None:
    assert not loaded("import primary.shell.command_line") & {"grpc", "google", "primary.shell.board"}
    assert "secondary.shell.board" not in loaded("import secondary.shell.command_line")
    waited_for = loaded("import primary.shell.seen")
    assert not waited_for & (ONLY_FOR_COMMANDS | {"grpc", "google"}), "a board waits for this one at each start"


@pytest.mark.process
def test_protobuf_without_its_python_half_still_writes_and_reads() -> None:
    code = (
        "import uptane.rpc.gen.director_pb2 as d\nasked = d.PollRequest(root=3, manifest=b'm')\n"
        "assert d.PollRequest.FromString(asked.SerializeToString()) == asked"
    )
    assert "uptane.rpc.gen.director_pb2" in loaded(f"{RESIDENT['primary']}\n{code}")


@pytest.mark.parametrize("count", [1, 20])
def test_no_thread_for_an_ecu(site: Site, count: int) -> None:
    buses = '[[bus]]\nname = "b"\ninterface = "virtual"\nchannel = "small"\n'
    site.config.write_text(site.config.read_text() + buses + "".join(secondary(number) for number in range(count)))
    before = set(threading.enumerate())
    config = load(site.config)
    board = Board(config, Store(config.state), Pace(60), lambda _: None)
    try:
        assert len(config.layout.secondaries) == count
        assert {each.name for each in set(threading.enumerate()) - before} == {"disk", "servers", "self-test"}
    finally:
        board.close()


def secondary(number: int) -> str:
    return (
        f'[[secondary]]\necu = "e{number}"\nhardware = "esc"\nverification = "partial"\nbus = "b"\n'
        f'address = {number + 1}\npublic_key = "{as_text(key(str(number)).public)}"\n'
    )


@pytest.mark.process
def test_an_idle_cycle_writes_nothing_and_a_rest_leaves_no_thread_of_grpc(site: Site) -> None:
    process = site.start("run", "--config", str(site.config))
    tasks = Path(f"/proc/{process.pid}/task")

    def names() -> list[str]:
        return [(task / "comm").read_text().strip() for task in tasks.iterdir()]

    try:
        wait_for(lambda: site.servers.polls >= 3)  # the second tells what changed with the start
        wait_for(lambda: any(name.startswith("event_engine") for name in names()))
        before = board_probe.records(site.folder / "state")
        polls = site.servers.polls
        wait_for(lambda: site.servers.polls >= polls + 2)
        assert board_probe.records(site.folder / "state") == before > 0
        site.servers.poll_again_s = 3_600
        wait_for(lambda: len(names()) == 4)
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.process
def test_an_update_writes_so_many_records_and_no_more(site: Site) -> None:
    site.run("once")
    before = board_probe.records(site.folder / "state")
    site.assign()
    site.run("once")
    assert 0 < board_probe.records(site.folder / "state") - before <= RECORDS_OF_AN_UPDATE


@pytest.mark.process
def test_after_a_rest_the_next_call_connects_anew(site: Site) -> None:
    answers: SimpleQueue[object] = SimpleQueue()
    servers = Servers(load(site.config))
    try:
        for _ in range(3):
            servers.ask(Poll(b"", b"", Versions(0, 0, 0, 0)), answers.put)
            assert isinstance(answers.get(timeout=20), Polled)
            servers.rest(answers.put)
    finally:
        servers.close()


def test_the_probe_needs_nothing_but_python_and_procfs(tmp_path: Path) -> None:
    Store(tmp_path).write("some/record", b"1")
    Store(tmp_path).write("some/record", b"2")
    command = [sys.executable, "-I", board_probe.__file__, "watch", "--seconds", "0", f"me={os.getpid()}:{tmp_path}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    me = json.loads(done.stdout)["me"]
    assert me["records"] == 0, "none meanwhile"
    assert me["threads"] >= 1
    assert me["rss_mb"] > 10
    assert board_probe.records(tmp_path) == 2
