"""What a failed gRPC call says: the stubs type RpcError without what every real one has."""

from __future__ import annotations

from typing import Any

import grpc


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of a failed call."""
    call: Any = error
    code = call.code()
    return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN


def text_of(error: grpc.RpcError) -> str:
    """What the server said, or what went wrong on the way."""
    call: Any = error
    return str(call.details() or code_of(error).name)


def metadata_of(error: grpc.RpcError, key: str) -> str:
    """A value of the trailing metadata; empty if it is not there."""
    call: Any = error
    return next((str(value) for name, value in call.trailing_metadata() or () if name == key), "")
