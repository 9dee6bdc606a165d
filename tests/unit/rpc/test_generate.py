"""What is generated from the .proto files is what is checked in."""

from pathlib import Path

from uptane.rpc.generate import PACKAGE, SOURCES, generate

ROOT = Path(__file__).resolve().parents[3]


def test_generated_stubs_are_fresh(tmp_path: Path) -> None:
    fresh = {path.name: path.read_text() for path in generate(tmp_path)}
    checked_in = {path.name: path.read_text() for path in (ROOT / PACKAGE).iterdir() if path.is_file()}
    assert checked_in == fresh, "run: python -m uptane.rpc.generate"


def test_every_source_is_generated() -> None:
    expected = {f"{source.stem}{ending}" for source in SOURCES.glob("*.proto") for ending in ENDINGS}
    assert expected <= {path.name for path in (ROOT / PACKAGE).iterdir()}


ENDINGS = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
