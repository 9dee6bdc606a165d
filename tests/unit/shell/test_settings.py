"""Configuration files: what is right is read, what is wrong is refused with its place and what to do."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import pytest

from uptane.shell.can_settings import can_settings
from uptane.shell.settings import FILE_LENGTH_MAX, Section, SettingsError, read, read_board


class Kind(Enum):
    PARTIAL = "partial"
    FULL = "full"


def section(tmp_path: Path, text: str) -> Section:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return read(file)


def test_every_type_is_read_once_and_defaults_hold(tmp_path: Path) -> None:
    top = section(
        tmp_path,
        'a = "x"\nn = 3\nf = true\nk = "full"\nl = ["p", "q"]\nh = "00ff"\np = "dir/x"\nid = "ecu-1"\n'
        "[t]\nb = 1\n[[m]]\nc = 1\n[[m]]\nc = 2\n",
    )
    assert top.text("a") == "x"
    assert top.integer("n", range(4)) == 3
    assert top.flag("f")
    assert top.choice("k", Kind) is Kind.FULL
    assert top.texts("l") == ("p", "q")
    assert top.octets("h", 2) == b"\x00\xff"
    assert top.path("p") == tmp_path / "dir/x"
    assert top.id("id") == "ecu-1"
    assert top.section("t").integer("b", range(2)) == 1
    assert [each.integer("c", range(3)) for each in top.sections("m")] == [1, 2]
    top.done()
    assert top.text("a", "default") == "default"
    assert top.integer("n", range(4), 1) == 1
    assert top.flag("f", default=False) is False
    assert top.choice("k", Kind, Kind.PARTIAL) is Kind.PARTIAL
    assert top.texts("l", ("d",)) == ("d",)
    assert not top.section("none").has("b")
    assert top.sections("none") == []


BAD: list[tuple[str, Callable[[Section], object], str]] = [
    ("", lambda top: top.text("a"), "a is missing"),
    ("a = 1", lambda top: top.text("a"), "a is 1; expected a string"),
    ('a = ""', lambda top: top.text("a"), "expected a string that is not empty"),
    ('a = "../x"', lambda top: top.id("a"), "a is '../x'"),
    ("a = true", lambda top: top.integer("a", range(2)), "a is True; expected an integer from 0 to 1"),
    ("a = 2", lambda top: top.integer("a", range(2)), "a is 2; expected an integer from 0 to 1"),
    ("a = 1.0", lambda top: top.integer("a", range(2)), "a is 1.0"),
    ("a = 1", lambda top: top.flag("a"), "expected true or false"),
    ('a = "other"', lambda top: top.choice("a", Kind), 'expected one of "partial", "full"'),
    ('a = "x"', lambda top: top.texts("a"), "expected a list of strings"),
    ('a = [""]', lambda top: top.texts("a"), "expected a list of strings"),
    ('a = "zz"', lambda top: top.octets("a", 1), "expected 2 hexadecimal digits"),
    ('a = "0 0"', lambda top: top.octets("a", 1), "expected 2 hexadecimal digits"),
    ("a = 1", lambda top: top.section("a"), "expected a table: [a]"),
    ("a = [1]", lambda top: top.sections("a"), "expected tables: [[a]]"),
    ("[t]\nb = 1", lambda top: top.section("t").text("b"), "t.b is 1"),
    ("[[t]]\nb = 1", lambda top: top.sections("t")[0].done(), "t[0].b: unknown key"),
    ("a = 1", lambda top: top.done(), "a: unknown key; remove it"),
]


@pytest.mark.parametrize(("text", "get", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_refused_with_file_place_and_remedy(
    tmp_path: Path, text: str, get: Callable[[Section], object], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        get(section(tmp_path, text))
    assert message in str(caught.value)
    assert str(tmp_path / "config.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"a = ", "is no TOML"),
        (b"a = 1\na = 2", "is no TOML"),
        (b"\xff", "is no TOML"),
        (b"#" * (FILE_LENGTH_MAX + 1), "longer than"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, octets: bytes, message: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(octets)
    with pytest.raises(SettingsError, match=message):
        read(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read(tmp_path / "none.toml")


# ------------------------------------------------------------------------------- a board's file above a provisioned one


def board(tmp_path: Path, above: str, below: str) -> Section:
    """Settings of a board in one folder, what was provisioned in another."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "ecu").mkdir()
    file = tmp_path / "etc/board.toml"
    file.write_text(f'provisioned = "{tmp_path}/ecu"\n{above}')
    (tmp_path / "ecu/config.toml").write_text(below)
    return read_board(file)


def test_a_board_stands_above_what_was_provisioned_key_by_key(tmp_path: Path) -> None:
    above = 'a = "board"\n[t]\nx = 1\n[new]\np = "/abs"\n[[m]]\nc = 3\n'
    top = board(tmp_path, above, 'a = "ecu"\nb = "ecu"\np = "dir"\n[t]\nx = 0\ny = 2\n[[m]]\nc = 1\n[[m]]\nc = 2\n')
    assert (top.text("a"), top.text("b")) == ("board", "ecu")
    table = top.section("t")
    assert (table.integer("x", range(9)), table.integer("y", range(9))) == (1, 2)
    assert [each.integer("c", range(9)) for each in top.sections("m")] == [3], "lists are replaced"
    assert top.path("p") == tmp_path / "ecu/dir"
    assert top.section("new").path("p") == Path("/abs")
    top.done()


@pytest.mark.parametrize(
    ("above", "take", "text"),
    [
        ("[t]\nx = 9", lambda top: top.section("t").integer("x", range(2)), "etc/board.toml: t.x is 9"),
        ("[u]\nz = 9", lambda top: top.section("u").done(), "etc/board.toml: u.z: unknown key"),
        ("[us]\nz = 9", lambda top: (top.section("t"), top.done()), "etc/board.toml: us: unknown key"),
        ("[t]\nz = 9", lambda top: top.section("t").text("path"), "etc/board.toml: t.path is missing"),
        ("[t]\n", lambda top: top.section("t").integer("x", range(1, 2)), "ecu/config.toml: t.x is 0"),
        ("[[m]]\nc = 9", lambda top: top.sections("m")[0].integer("c", range(2)), "etc/board.toml: m[0].c is 9"),
        ("", lambda top: top.text("missing"), "ecu/config.toml: missing is missing"),
    ],
)
def test_a_mistake_is_said_of_the_file_it_stands_in(
    tmp_path: Path, above: str, take: Callable[[Section], object], text: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        take(board(tmp_path, above, "[t]\nx = 0\n"))
    assert text in str(refused.value)


def test_a_relative_path_of_the_board_is_relative_to_its_own_file(tmp_path: Path) -> None:
    assert board(tmp_path, 'p = "x"', "").path("p") == tmp_path / "etc/x"


def test_nothing_provisioned_yet_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "board.toml"
    file.write_text('provisioned = "/nowhere/at/all"')
    with pytest.raises(SettingsError, match="run `enrol --from FOLDER`"):
        read_board(file)
    file.write_text("provisioned = 1")
    with pytest.raises(SettingsError, match="provisioned is 1"):
        read_board(file)


def test_a_board_on_socketcan_has_no_use_for_the_port_of_what_was_provisioned(tmp_path: Path) -> None:
    below = '[can]\ninterface = "udp_multicast"\nchannel = "239.1.2.3"\nport = 20000\nfd = true\n'
    own = board(tmp_path, '[can]\ninterface = "socketcan"\nchannel = "can0"\n', below).section("can")
    found = can_settings(own)
    own.done()
    assert (found.interface, found.channel, found.fd, found.paced) == ("socketcan", "can0", True, False)
    assert found.options == {}, "with options python-can would be taken, without the kernel's filters"
    assert can_settings(section(tmp_path, below).section("can")).options == {"port": 20_000}
