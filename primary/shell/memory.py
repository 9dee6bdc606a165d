"""Keeping a resident process small on a board: what it loads, and what it gives back to the kernel.

None of it changes what the process does; where the C library is another than glibc, nothing happens.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Final

_IN_PYTHON: Final = "google.protobuf.internal.python_message"
_M_ARENA_MAX: Final = -8  # mallopt's number for it (malloc.h)


def load_less() -> None:
    """Before gRPC is imported: an empty module stands for what nobody here uses.

    That is gRPC's asyncio half, and, where protobuf has its C core, the same in Python; each costs 2 MB.
    """
    assert "grpc" not in sys.modules, "too late"
    sys.modules.setdefault("grpc.aio", types.ModuleType("grpc.aio"))
    if importlib.util.find_spec("google._upb") is not None:
        sys.modules.setdefault(_IN_PYTHON, types.ModuleType(_IN_PYTHON))


def share_arenas() -> None:
    """Before threads are started: one heap for all of them instead of one each; none of ours allocates in a hurry."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """After an update, or after the start: what was needed for a moment goes back to the kernel."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return function
