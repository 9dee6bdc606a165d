"""A folder brought to a board: what is taken of it, and for which board it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from secondary.shell.config import load
from secondary.shell.enrol import enrol
from tests.builders import key
from uptane.errors import StorageFailure
from uptane.model.signed import PublicKey
from uptane.shell import enrolment, keys
from uptane.shell.enrolment import EnrolmentRefused
from uptane.shell.key_text import TEXT_LENGTH_MAX, as_text
from uptane.shell.settings import SettingsError

CONFIG = f"""
vehicle = "OTHER"
ecu = "door"
hardware = "hw"
verification = "partial"
address = 17
slot_size = 1000
can = {{ interface = "socketcan", channel = "can0" }}
image = {{ filename = "a", length = 1, sha256 = "{"00" * 32}", release_counter = 1 }}
"""


def provisioned(folder: Path, public: PublicKey | str | None = None) -> Path:
    """A Secondary's folder as provisioning writes it; older provisioning did not say whose key it is."""
    (folder / "initial").mkdir(parents=True)
    (folder / "initial/time").write_text("1\n")
    text = as_text(public) if isinstance(public, PublicKey) else public
    (folder / "config.toml").write_text(CONFIG + ("" if text is None else f'public_key = "{text}"\n'))
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board's settings; its folder is there, and empty."""
    (tmp_path / "board").mkdir()
    (tmp_path / "board.toml").write_text(f'provisioned = "{tmp_path / "board"}"\n')
    return tmp_path / "board.toml"


def held(board: Path) -> PublicKey:
    return keys.load(board.parent / "board/keys/ecu.pem", None).public


def test_a_folder_for_this_boards_key_or_nobodys_is_taken(board: Path, tmp_path: Path) -> None:
    told = enrol(board, None).public_key
    assert enrol(board, provisioned(tmp_path / "own", held(board))).public_key == told
    assert enrol(board, provisioned(tmp_path / "older")).public_key == told
    assert load(board).ecu == "door"


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_for_another_boards_key_is_refused(board: Path, tmp_path: Path, *, made: bool) -> None:
    if made:
        enrol(board, None)
    source = provisioned(tmp_path / "stick", key("ecu door").public)
    whose = "another key than this board's" if made else "a key that this board does not have"
    with pytest.raises(EnrolmentRefused, match=f"is for {whose}: it is for door of OTHER.*--exchange door"):
        enrol(board, source)
    assert not (tmp_path / "board/config.toml").exists()
    assert (tmp_path / "board/keys").exists() == made, "nor is a key made that nobody knows"


def test_a_private_key_that_is_brought_has_to_be_the_one_that_is_named(board: Path, tmp_path: Path) -> None:
    source = provisioned(tmp_path / "stick", key("ecu door").public)
    (source / "keys").mkdir()
    public = keys.create(source / "keys/ecu.pem", None).public
    with pytest.raises(EnrolmentRefused, match=r"not the key that config\.toml beside it names"):
        enrol(board, source)
    (source / "config.toml").write_text(f'{CONFIG}public_key = "{as_text(public)}"\n')
    assert enrol(board, source).public_key == as_text(public)


@pytest.mark.parametrize("text", ["ed25519 AAAA", "x", "A" * (TEXT_LENGTH_MAX + 1)])
def test_a_public_key_that_is_none(board: Path, tmp_path: Path, text: str) -> None:
    source = provisioned(tmp_path / "stick", text)
    with pytest.raises(SettingsError, match="public_key"):
        enrol(board, source)
    with pytest.raises(SettingsError, match="public_key"):
        load(source / "config.toml")


def test_nothing_is_followed_out_of_the_folder(tmp_path: Path) -> None:
    source, elsewhere = provisioned(tmp_path / "stick"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("root's")
    for link, aim in ((source / "initial/link", elsewhere / "secret"), (source / "tls", elsewhere)):
        link.symlink_to(aim)
        with pytest.raises(EnrolmentRefused, match=f"{link} is a symbolic link"):
            enrolment.brought(source)
        link.unlink()
    os.mkfifo(source / "pipe")
    with pytest.raises(EnrolmentRefused, match="pipe is no file"):
        enrolment.brought(source)
    (source / "pipe").unlink()
    (source / "state").symlink_to(elsewhere)
    assert set(enrolment.brought(source)) == {"config.toml", "initial/time"}, "what it learned itself stays there"


def test_a_folder_that_is_not_there(board: Path, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentRefused, match=r"no config\.toml in it"):
        enrol(board, tmp_path / "nowhere")
    board.write_text('provisioned = "nowhere"\n')
    with pytest.raises(StorageFailure, match="install the package first"):
        enrol(board, None)


def test_what_was_provisioned_names_no_module(tmp_path: Path) -> None:
    file = provisioned(tmp_path / "board") / "config.toml"
    file.write_text(f'{CONFIG}[token]\nmodule = "/m.so"\ntoken = "t"\nkey = "k"\npin = "/p"\n')
    with pytest.raises(SettingsError, match=r"\[token\] may not stand here.*name those with --config"):
        enrol(file, None)
