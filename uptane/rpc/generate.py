"""Writes uptane/rpc/gen/ from every uptane/rpc/*.proto: `python -m uptane.rpc.generate [ROOT]`.

Messages (_pb2.py, _pb2.pyi) and stubs (_pb2_grpc.py) are protoc's; protoc writes no types for the stubs, so
_pb2_grpc.pyi is written here. What is generated is checked in, and a test generates it again and compares.
Needs grpcio-tools (extra `dev`).
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto

SOURCES = Path(__file__).resolve().parent
PACKAGE = "uptane/rpc/gen"
HEADER = '"""What protoc generates from uptane/rpc/*.proto; do not edit: `python -m uptane.rpc.generate`."""\n'


def generate(root: Path) -> list[Path]:
    """Write the package `uptane/rpc/gen` below `root`; return its files.

    Raises:
        RuntimeError: protoc refuses a source.
    """
    from grpc_tools import protoc  # noqa: PLC0415  (a build tool: whoever imports the constants needs none of it)

    target = root / PACKAGE
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted(SOURCES.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "described"
        status = protoc.main(
            [
                "protoc",
                # A source is known under its package's path, so that generated modules import one another by package.
                f"-I{PACKAGE}={SOURCES}",
                f"-I{files('grpc_tools') / '_proto'}",
                f"--python_out={root}",
                f"--pyi_out={root}",
                f"--grpc_python_out={root}",
                f"--descriptor_set_out={described}",
                *(f"{PACKAGE}/{source.name}" for source in sources),
            ]
        )
        if status != 0:
            raise RuntimeError(f"protoc refused {', '.join(source.name for source in sources)}")
        for file in FileDescriptorSet.FromString(described.read_bytes()).file:
            (target / f"{Path(file.name).stem}_pb2_grpc.pyi").write_text(stub_types(file))
    (target / "__init__.py").write_text(HEADER)
    return sorted(path for path in target.iterdir() if path.suffix in {".py", ".pyi"})


def stub_types(file: FileDescriptorProto) -> str:
    """The types of one file's stubs and servicers."""
    module = f"{Path(file.name).stem}_pb2"
    lines = [
        "from collections.abc import Iterable, Iterator",
        "",
        "import grpc",
        "",
        f"from uptane.rpc.gen import {module}",
    ]
    for service in file.service:
        lines += ["", f"class {service.name}Stub:", "    def __init__(self, channel: grpc.Channel) -> None: ..."]
        lines += [f"    {method.name}: {_callable(module, method)}" for method in service.method]
        lines += ["", f"class {service.name}Servicer:"]
        lines += [_method(module, method) for method in service.method]
        adder = f"add_{service.name}Servicer_to_server"
        lines += ["", f"def {adder}(servicer: {service.name}Servicer, server: grpc.Server) -> None: ..."]
    return "\n".join(lines) + "\n"


def _callable(module: str, method: MethodDescriptorProto) -> str:
    """The type of a stub's attribute."""
    shape = "".join("Stream" if many else "Unary" for many in (method.client_streaming, method.server_streaming))
    request, reply = _types(module, method)
    return f"grpc.{shape}MultiCallable[{request}, {reply}]"


def _method(module: str, method: MethodDescriptorProto) -> str:
    """The signature of a servicer's method."""
    request, reply = _types(module, method)
    given = f"request_iterator: Iterator[{request}]" if method.client_streaming else f"request: {request}"
    answer = f"Iterable[{reply}]" if method.server_streaming else reply
    return f"    def {method.name}(self, {given}, context: grpc.ServicerContext) -> {answer}: ..."


def _types(module: str, method: MethodDescriptorProto) -> tuple[str, str]:
    """The message classes of a method."""
    request, reply = (kind.rsplit(".", 1)[-1] for kind in (method.input_type, method.output_type))
    return f"{module}.{request}", f"{module}.{reply}"


def main() -> None:
    """Write the package below the folder given, or in place."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCES.parents[1]
    for path in generate(root):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
