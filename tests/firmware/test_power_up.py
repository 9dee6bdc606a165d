"""What the firmware makes of what it finds: which slot boots, with a boot stub and without; counts that always rise."""

import ctypes
from pathlib import Path
from random import Random

import pytest

from secondary.install import UNPROVEN
from sim.firmware_chip import Area, Chip, Geometry, Kind, Library, PowerFailed, Start
from tests.builders import BRAKE, Pair
from tests.firmware.core_board import CoreBoard
from tests.firmware.ecu_pair import Bench, decode, encode
from tests.firmware.test_store import INSTALLATION, NONCE, PREFIX, REFUSALS, REPORT, frames, newest_half
from tests.unit.verify.test_installation import ALL
from uptane.errors import Check
from uptane.link.uds_objects import parse_status
from uptane.link.uds_values import Did
from uptane.moments import Instant
from uptane.verify import installation as twin
from uptane.verify.installation import Installation
from uptane.verify.states import BLAMED

STARTED = Instant(1_000)


@pytest.fixture
def chip(host_library: Path) -> Chip:
    CoreBoard.library = Library(str(host_library))
    return CoreBoard(Pair(), BRAKE).chip


def choose(chip: Chip) -> int:
    """As a boot stub does: the slot, -2 - Start when nothing is to run."""
    chip.library.c.fw_host_choose.argtypes = (ctypes.c_void_p,)
    return int(chip.library.c.fw_host_choose(chip._host))


def power_up_as(chip: Chip, slot: int) -> Start:
    """As the software that a boot stub has started."""
    function = chip.library.c.fw_host_power_up_as
    function.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64)
    return Start(function(chip._host, slot, STARTED))


def give(chip: Chip, built: ctypes.CDLL, records: dict[int, bytes]) -> None:
    """Have a chip hold these records, beside those of its first power-up."""
    geometry: Geometry = chip.geometry
    bench = Bench(built, geometry.page, geometry.unit, slot=geometry.slot_size, state=geometry.state_size)
    assert chip.power_up(STARTED) is Start.UP
    bench.load(2, chip.read(Area.STATE))
    assert bench.open()
    for record, octets in records.items():
        assert bench.put(record, octets)
    chip.load(Area.STATE, bench.flash(2))
    chip.take_log()


def stored(chip: Chip) -> Installation:
    return decode(chip.records()[INSTALLATION])


def status_counter(chip: Chip) -> int:
    octets = chip.reading(Did.STATUS)
    assert octets is not None
    return parse_status(octets).report_counter


# ----------------------------------------------------------------------------------------------- which slot boots


@pytest.mark.parametrize("name", ALL)
def test_the_slot_that_boots_is_the_twins(chip: Chip, built: ctypes.CDLL, name: str) -> None:
    give(chip, built, {INSTALLATION: encode(ALL[name])})
    slot, after = twin.boot(ALL[name])
    assert chip.power_up(STARTED) is Start.UP
    tested = [entry.a for entry in chip.take_log() if entry.kind is Kind.SELF_TEST]
    assert stored(chip) == after
    assert tested == ([slot] if slot == after.other and after.state in UNPROVEN else [])
    assert not chip.abuses


@pytest.mark.parametrize("name", ALL)
def test_a_boot_stub_chooses_the_same_and_the_software_goes_on(chip: Chip, built: ctypes.CDLL, name: str) -> None:
    give(chip, built, {INSTALLATION: encode(ALL[name])})
    slot, after = twin.boot(ALL[name])
    assert choose(chip) == slot
    assert stored(chip) == after
    blamed = BLAMED.get(after.outcome) if after.outcome is not ALL[name].outcome else None
    assert power_up_as(chip, slot) is Start.UP
    assert stored(chip) == after, "it is decided once"
    assert chip.refusals() == ({} if blamed is None else {blamed.code: 1})


def test_a_slot_that_the_record_does_not_name_is_not_run(chip: Chip, built: ctypes.CDLL) -> None:
    give(chip, built, {INSTALLATION: encode(ALL["trial"])})
    assert power_up_as(chip, 0) is Start.NO_INSTALLATION
    assert power_up_as(chip, 1) is Start.UP


@pytest.mark.parametrize(
    "name", ["started", "voted", "voted, not coming up", "committed, not coming up", "rolled back"]
)
def test_a_cut_while_the_boot_is_decided_leaves_the_older_or_the_newer(
    chip: Chip, built: ctypes.CDLL, name: str
) -> None:
    give(chip, built, {INSTALLATION: encode(ALL[name])})
    flash, after = chip.read(Area.STATE), twin.boot(ALL[name])[1]
    for cut in range(100):
        chip.load(Area.STATE, flash)
        chip.cut_after(cut)
        found = choose(chip)
        chip.cut_after(None)
        assert stored(chip) in (ALL[name], after)
        if found >= 0:
            break
    assert cut > 3
    assert not chip.abuses


def test_an_ecu_whose_installation_is_lost_runs_nothing(chip: Chip, built: ctypes.CDLL) -> None:
    give(chip, built, {INSTALLATION: encode(ALL["trial"])})
    for half in (0, 1):
        for frame in frames(chip.read(Area.STATE), half, chip.geometry.unit):
            if frame.name == INSTALLATION:
                chip.damage(Area.STATE, frame.at + PREFIX, 1)
    assert choose(chip) == -2 - Start.NO_INSTALLATION
    assert chip.power_up(STARTED) is Start.NO_INSTALLATION
    assert chip.deadline() is None, "nothing is to run"


def test_an_older_installation_is_taken_and_the_loss_is_said(chip: Chip, built: ctypes.CDLL) -> None:
    give(chip, built, {INSTALLATION: encode(ALL["prepared"])})
    give(chip, built, {INSTALLATION: encode(ALL["activated"])})
    damage_newest(chip, INSTALLATION)
    assert chip.power_up(STARTED) is Start.UP
    assert stored(chip) == ALL["prepared"]
    assert chip.refusals() == {Check.STATE_DAMAGED.code: 1}


def test_an_installation_of_a_newer_format_runs_nothing(chip: Chip, built: ctypes.CDLL) -> None:
    give(chip, built, {INSTALLATION: b"\2" + encode(ALL["trial"])[1:]})
    assert choose(chip) == -2 - Start.NO_INSTALLATION


def test_refusals_that_cannot_be_read_stop_nobody(chip: Chip, built: ctypes.CDLL) -> None:
    for octets in (b"", b"\1", b"\2\0\0\0", b"\1\x09\0\0" + bytes(72), b"\1\2\0\0" + bytes(15)):
        give(chip, built, {REFUSALS: octets})
        assert chip.power_up(STARTED) is Start.UP
        assert chip.refusals() == {Check.STATE_DAMAGED.code: 1}


# -------------------------------------------------------------------------------------------------- counts that rise


def damage_newest(chip: Chip, record: int) -> None:
    flash = chip.read(Area.STATE)
    found = frames(flash, newest_half(flash, chip.geometry.unit), chip.geometry.unit)
    newest = [each for each in found if each.name == record]
    if newest:
        chip.damage(Area.STATE, newest[-1].at + PREFIX, 1)


@pytest.mark.parametrize("seed", range(8))
def test_no_nonce_comes_twice_and_reports_rise_whatever_the_flash_does(chip: Chip, seed: int) -> None:
    """Each power-up follows upon a cut, upon a newest copy that was lost, or upon nothing."""
    dice = Random(seed)
    nonces: set[bytes] = set()
    counter = 0
    for _ in range(60):
        fate = dice.randrange(4)
        if fate == 0:
            damage_newest(chip, dice.choice((NONCE, REPORT)))
        chip.cut_after(dice.randrange(12) if fate == 1 else None)
        try:
            assert chip.power_up(STARTED) is Start.UP
        except PowerFailed:
            continue
        finally:
            chip.cut_after(None)
        nonce = chip.reading(Did.NONCE)
        assert nonce is not None
        assert nonce not in nonces
        assert status_counter(chip) > counter
        nonces.add(nonce)
        counter = status_counter(chip)
    assert len(nonces) > 30
    assert not chip.abuses


def test_counts_of_which_no_copy_is_left_go_on_above_the_time(chip: Chip) -> None:
    assert chip.power_up(STARTED) is Start.UP
    for frame in list(frames(chip.read(Area.STATE), 0, chip.geometry.unit)):
        if frame.name in {NONCE, REPORT}:
            chip.damage(Area.STATE, frame.at + PREFIX, 1)
    assert chip.power_up(STARTED) is Start.UP
    assert status_counter(chip) > chip.utc()
    assert chip.refusals() == {Check.STATE_DAMAGED.code: 2}
