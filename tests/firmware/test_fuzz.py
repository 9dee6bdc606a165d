"""The fuzz targets of the C core (firmware/fuzz) in bounded runs that begin with a real update, under sanitizers."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

import pytest

from sim.shell.firmware import board_octets
from tests.builders import BRAKE, Pair
from tests.firmware.twin import ROOT
from tests.unit.secondary.board import SECRET, Board, image_octets, workshop
from uptane.link.uds_objects import Object, Place
from uptane.model.reports import Phase

FUZZ = ROOT / "build" / "firmware" / "fuzz"
TARGETS = ("facts", "object", "frames", "store")
KINDS = (Object.DIRECTOR_ROOT, Object.DIRECTOR_TARGETS, Object.ATTESTATION, Object.ORDER)  # as in fuzz_object.c
TICK, UP, ASK, TESTED = 2, 5, 6, 7  # as in fuzz_frames.c
FIRST_NONCE = sha256(b"marque time nonce\0" + SECRET + (1).to_bytes(4)).digest()[:16]


class Seeds:
    """Inputs that lead deep: what an honest vehicle says."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.board = Board(self.pair, BRAKE)
        self.root = self.board.records["director/root"]
        self.facts = board_octets(self.board.facts, sha256(f"ecu {BRAKE}".encode()).digest(), self.root)
        workshop(self.pair)
        director = self.pair.director
        self.objects = {
            Object.DIRECTOR_ROOT: director.root(),
            Object.DIRECTOR_TARGETS: director.offered[f"{director.versions['targets']}.targets"],
            Object.ATTESTATION: self.pair.attestation(nonce=FIRST_NONCE),
            Object.ORDER: self.pair.order(Phase.ACTIVATE),
        }

    def of(self, target: str) -> Iterator[bytes]:
        match target:
            case "facts":
                yield self.facts
            case "object":
                for item, octets in self.objects.items():
                    yield bytes((KINDS.index(item), 13)) + len(octets).to_bytes(2) + octets
            case "frames":
                yield b"".join(self.update())
            case _:
                yield b""

    def update(self) -> Iterator[bytes]:
        """A whole update, request by request."""
        yield self._ask("1003")
        for item in (Object.ATTESTATION, Object.DIRECTOR_TARGETS):
            yield from self._transfer(Place(item).address, self.objects[item])
            yield self._ask(f"31010202{item:02x}")
        yield self._ask("1002") + self._ask("3101ff00")
        yield from self._transfer(0, image_octets(self.pair, BRAKE))
        yield self._ask("3101020200") + self._ask("3101ff01") + self._ask("1101")
        yield bytes((UP, TESTED, 0)) + bytes((TICK, 30)) * 2

    def _transfer(self, address: int, octets: bytes) -> Iterator[bytes]:
        yield self._ask("340044" + address.to_bytes(4).hex() + len(octets).to_bytes(4).hex())
        for count, start in enumerate(range(0, len(octets), 200), 1):
            yield self._ask(f"36{count:02x}" + octets[start : start + 200].hex())
        yield self._ask("37")

    @staticmethod
    def _ask(request: str) -> bytes:
        octets = bytes.fromhex(request)
        return bytes((ASK, 1, len(octets))) + octets


def fuzz(
    target: str, folder: Path, *options: str, seeds: Sequence[bytes] | None = None
) -> subprocess.CompletedProcess[str]:
    program = FUZZ / f"fuzz_{target}"
    assert program.exists(), f"{program} is not built: make firmware"
    honest = Seeds()
    corpus = Path(mkdtemp(dir=folder))
    for number, octets in enumerate(honest.of(target) if seeds is None else seeds):
        (corpus / str(number)).write_bytes(octets)
    (folder / "facts").write_bytes(honest.facts)
    command: list[object] = [
        program,
        f"--facts={folder / 'facts'}",
        f"-artifact_prefix={folder}/",
        "-seed=1",
        "-max_len=4096",
    ]
    command += [*options, corpus]
    return subprocess.run(
        [str(word) for word in command], check=False, cwd=folder, capture_output=True, text=True, timeout=100
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_bounded_run_finds_nothing(target: str, tmp_path: Path) -> None:
    said = fuzz(target, tmp_path, "-runs=400")
    assert said.returncode == 0, said.stderr[-3_000:]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_longer_run_finds_nothing(target: str, tmp_path: Path) -> None:
    said = fuzz(target, tmp_path, "-max_total_time=20")
    assert said.returncode == 0, said.stderr[-3_000:]


def test_seeds_lead_deep(tmp_path: Path) -> None:
    """A whole update, from the first request to the release, reaches twice what a power-up alone does."""
    nothing = covered(fuzz("frames", tmp_path, "-runs=0", seeds=[b""]))
    update = covered(fuzz("frames", tmp_path, "-runs=0"))
    assert update > 2 * nothing > 0


def covered(said: subprocess.CompletedProcess[str]) -> int:
    assert said.returncode == 0, said.stderr[-3_000:]
    return max(int(number) for number in re.findall(r"cov: (\d+)", said.stderr))
