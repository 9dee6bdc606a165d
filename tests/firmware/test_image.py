"""The image of the emulated board: what the core costs in flash and RAM, by the linked program itself.

The figures are bounds of what is built today, so that nobody makes the core larger without seeing it.
"""

import functools
import subprocess
from pathlib import Path

import pytest

from firmware.tools import flash_file, sizes, stack
from tests.firmware.conftest import ROOT, build

QEMU = ROOT / "build" / "firmware" / "qemu"
FIGURES = ROOT / "build" / "firmware" / "figures"
FLASH_MAX = 35_500  # octets of the core with Ed25519; the aim is 32 KiB
SMALL_FLASH_MAX = 29_000  # with CRYPTO=small; the limit is 32 KiB
SMALL_STACK_MAX = 4_400  # below fw_heard
P256_MAX = 2_900  # more, with P-256
CRYPTO_MAX = 17 * 1_024
RAM_MAX = 8 * 1_024  # struct fw and the stack at its deepest


@functools.cache
def built(target: str) -> None:
    build(target)


@pytest.mark.parametrize("name", ["1", "2", "fails", "hangs"])
def test_every_image_is_one(name: str) -> None:
    built("qemu")
    path = QEMU / f"marque-secondary-{name}.bin"
    image = flash_file.image(path.read_bytes(), path.name)
    assert image.version == f"marque-secondary {name}"


def test_what_the_core_costs_in_flash() -> None:
    built("figures")
    small, p256 = (sizes.flash(FIGURES / f"{name}.elf") for name in ("ed25519", "p256"))
    assert 25_000 < sizes.core(small) <= FLASH_MAX
    assert 1_000 < sizes.core(p256) - sizes.core(small) <= P256_MAX
    assert 10_000 < small["crypto"] < p256["crypto"] <= CRYPTO_MAX
    assert small["port"] < 200, "without a port; what the tool does not know counts as one"
    assert set(small) == {part for part, _pattern in sizes._PARTS}


def test_the_small_cryptography_takes_less_flash_and_more_stack() -> None:
    built("figures")
    fast, small = (FIGURES / f"{name}.elf" for name in ("ed25519", "small"))
    assert 20_000 < sizes.core(sizes.flash(small)) <= SMALL_FLASH_MAX
    assert sizes.flash(small)["crypto"] < 0.6 * sizes.flash(fast)["crypto"]
    depths = [stack.deepest(stack.functions(elf), "fw_heard")[0] for elf in (fast, small)]
    assert 1_000 < depths[0] < depths[1] <= SMALL_STACK_MAX


def test_what_the_core_costs_in_ram() -> None:
    built("qemu")
    elf = QEMU / "marque-secondary.elf"
    deepest, path = stack.deepest(stack.functions(elf), "main")
    assert path[0] == "main"
    assert {"fe_mul", "mbedtls_internal_sha512_process"} & set(path), "a signature is the deepest that it goes"
    assert 1_000 < deepest + stack.INTERRUPT + sizes.ram(elf)["ecu"] <= RAM_MAX


def test_recursion_would_be_seen() -> None:
    found = {"main": stack.Function(8, {"a"}), "a": stack.Function(16, {"b"}), "b": stack.Function(4, {"main"})}
    with pytest.raises(ValueError, match="recursion: main > a > b > main"):
        stack.deepest(found, "main")
    found["b"].calls = {"c"}
    assert stack.deepest(found, "main") == (28, ("main", "a", "b", "c"))


def test_machine_code_is_read_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
20000100 <outer>:
20000100:\tstmdb\tsp!, {r4, r5, r6, r7, r8, r9, sl, fp, lr}
20000104:\tsub.w\tsp, sp, #740\t@ 0x2e4
20000108:\tbl\t20000200 <inner>
2000010c:\tb.n\t20000100 <outer+0x4>

20000200 <inner>:
20000200:\tpush\t{r0, r1, r4, lr}
20000202:\tblx\tr3
20000204:\tpop\t{r0, r1, r4, pc}
"""

    class Done:
        stdout = text

    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: Done)
    found = stack.functions(tmp_path)
    assert found == {
        "outer": stack.Function(9 * 4 + 740, {"inner"}),
        "inner": stack.Function(16, set(), via_pointer=True),
    }
