"""What one caller may take of a server: so many calls at once, and no connection for ever.

Each call under way holds a thread, and a server has few. Whoever opens calls and then neither sends nor reads would
keep them all: so calls are counted by caller, from their headers on, and connections end after a while. A caller is the
certificate he shows (its serial number: another one of the same name may be stolen), or the network he calls from.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final, TypeAlias
from urllib.parse import unquote

import grpc

from uptane.shell import tls

AGE_S: Final = 300  # of a connection: then it takes no new calls, and whoever wants more connects again
GRACE_S: Final = 1_800  # for calls still under way then: no call of a vehicle may take longer, metadata over GPRS least

# Its answer is a stream that never ends, one place for whoever asks; Check says the same.
_ENDLESS: Final = frozenset({"/grpc.health.v1.Health/Watch"})
_SITE_V6: Final = 64  # bits: whoever has one IPv6 address has all of such a network

Handler: TypeAlias = "grpc.RpcMethodHandler[object, object]"
Requests: TypeAlias = Iterator[object]


def options(age_s: int = AGE_S, grace_s: int = GRACE_S) -> tuple[tuple[str, int], ...]:
    """A server's options: sizes, one server per port, dead connections noticed, old ones ended (after seconds)."""
    return (
        *tls.LIMITS,
        ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server that gets half of the calls
        ("grpc.keepalive_time_ms", 30_000),  # a vehicle that drove into a tunnel gives its place back
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.max_connection_age_ms", age_s * 1_000),
        ("grpc.max_connection_age_grace_ms", grace_s * 1_000),
    )


class CallerLimit(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic to the stubs alone
    """At most `calls_max` calls of one caller at once; one more is refused with RESOURCE_EXHAUSTED."""

    def __init__(self, calls_max: int) -> None:
        self._calls_max = calls_max
        self._calls: Counter[str] = Counter()
        self._lock = Lock()

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Handler | None], details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The same method, counted.

        gRPC reads a single request before it calls the method, and waits without end, on a thread, for one that is not
        sent. So each method becomes one that takes a stream, is called at once, and reads its request itself.
        """
        handler = None if details.method in _ENDLESS else continuation(details)
        if handler is None:
            return None
        coding = (handler.request_deserializer, handler.response_serializer)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._counted_stream(handler), *coding)
        return grpc.stream_unary_rpc_method_handler(self._counted(handler), *coding)

    def _counted(self, handler: Handler) -> Callable[[Requests, grpc.ServicerContext], object]:
        def answer(requests: Requests, context: grpc.ServicerContext) -> object:
            with self._place(context):
                if handler.stream_unary is not None:
                    return handler.stream_unary(requests, context)
                assert handler.unary_unary is not None
                return handler.unary_unary(_single(requests, context), context)

        return answer

    def _counted_stream(self, handler: Handler) -> Callable[[Requests, grpc.ServicerContext], Iterator[object]]:
        def answers(requests: Requests, context: grpc.ServicerContext) -> Iterator[object]:
            with self._place(context):  # until the last answer is taken, or the call is over: then this is closed
                if handler.stream_stream is not None:
                    yield from handler.stream_stream(requests, context)
                else:
                    assert handler.unary_stream is not None
                    yield from handler.unary_stream(_single(requests, context), context)

        return answers

    @contextmanager
    def _place(self, context: grpc.ServicerContext) -> Iterator[None]:
        who = caller(context)
        with self._lock:
            full = self._calls[who] >= self._calls_max
            if not full:
                self._calls[who] += 1
        if full:
            text = f"{self._calls_max} calls at once are answered to one caller: come again when one has ended"
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        try:
            yield
        finally:
            with self._lock:
                self._calls[who] -= 1
                if not self._calls[who]:
                    del self._calls[who]


def caller(context: grpc.ServicerContext) -> str:
    """Who calls: the serial number of his certificate, or his network."""
    try:
        return tls.peer(context).serial
    except tls.PeerRefused:
        return network(context.peer())


def network(peer: str) -> str:
    """The network behind gRPC's word for an address, such as `ipv4:192.0.2.1:5000` or `ipv6:%5B2001:db8::1%5D:5000`."""
    host = unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return peer.rpartition(":")[0]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _SITE_V6), strict=False))


def _single(requests: Requests, context: grpc.ServicerContext) -> object:
    request = next(requests, None)
    if request is None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is missing")
    return request
