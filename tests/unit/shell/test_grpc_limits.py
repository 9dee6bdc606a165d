"""What one caller may take of a server, over real gRPC: who neither sends nor reads keeps nobody out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any

import grpc
import pytest

from uptane.shell import tls
from uptane.shell.grpc_limits import CallerLimit, network, options

CALLS_MAX = 3
PLACES = 6
BLOCK = bytes(200_000)
METHODS = {
    "One": grpc.unary_unary_rpc_method_handler(lambda request, _context: b"one " + request),
    "Many": grpc.unary_stream_rpc_method_handler(lambda request, _context: iter([b"many " + request] * 2)),
    "Sum": grpc.stream_unary_rpc_method_handler(lambda requests, _context: b"+".join(requests)),
    "Echo": grpc.stream_stream_rpc_method_handler(lambda requests, _context: requests),
    "Endless": grpc.unary_stream_rpc_method_handler(lambda _request, _context: iter(lambda: BLOCK, b"")),
}


@contextmanager
def serving(credentials: grpc.ServerCredentials | None = None, **ages: int) -> Iterator[int]:
    server = grpc.server(
        futures.ThreadPoolExecutor(PLACES),
        interceptors=[CallerLimit(CALLS_MAX)],
        options=options(**ages),
        maximum_concurrent_rpcs=PLACES,
    )
    for service in ("t.T", "grpc.health.v1.Health"):
        methods: Any = METHODS if service == "t.T" else {"Watch": METHODS["Endless"], "Check": METHODS["One"]}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    place = "127.0.0.1:0"
    port = server.add_insecure_port(place) if credentials is None else server.add_secure_port(place, credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def channel(port: int, credentials: grpc.ChannelCredentials | None = None) -> Iterator[Any]:
    """A connection of its own."""
    own = (*tls.LIMITS, ("grpc.use_local_subchannel_pool", 1))
    at = f"127.0.0.1:{port}"
    made = grpc.insecure_channel(at, own) if credentials is None else grpc.secure_channel(at, credentials, own)
    with made:
        yield made


def one(channel: Any) -> grpc.StatusCode:
    """What a small call is answered."""
    try:
        assert channel.unary_unary("/t.T/One", None, None)(b"x", timeout=10) == b"one x"
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code()  # type: ignore[no-any-return]
    return grpc.StatusCode.OK


def until(wanted: grpc.StatusCode, channel: Any, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Ask again until the answer is `wanted`; do `meanwhile` in between."""
    never, end = Event(), time.monotonic() + 20
    while (got := one(channel)) is not wanted:
        assert time.monotonic() < end, got
        meanwhile()
        never.wait(0.05)


def unread(channel: Any) -> Any:
    call = channel.unary_stream("/t.T/Endless", None, None)(b"", timeout=60)
    next(call)
    return call


def test_every_kind_of_method_is_answered_as_before() -> None:
    with serving() as port, channel(port) as here:
        for _ in range(2 * CALLS_MAX):
            assert here.unary_unary("/t.T/One", None, None)(b"x") == b"one x"
            assert list(here.unary_stream("/t.T/Many", None, None)(b"x")) == [b"many x"] * 2
            assert here.stream_unary("/t.T/Sum", None, None)(iter([b"a", b"b"])) == b"a+b"
            assert list(here.stream_stream("/t.T/Echo", None, None)(iter([b"a", b"b"]))) == [b"a", b"b"]


def test_a_caller_who_does_not_read_keeps_no_more_than_his_places() -> None:
    with serving() as port, ExitStack() as stack:
        held = [unread(stack.enter_context(channel(port))) for _ in range(CALLS_MAX)]
        with channel(port) as other:
            assert one(other) is grpc.StatusCode.RESOURCE_EXHAUSTED
            held[0].cancel()
            until(grpc.StatusCode.OK, other)


@pytest.mark.parametrize("method", ["One", "Many", "Sum", "Echo"])
def test_a_caller_who_does_not_send_is_counted_from_the_headers_on(method: str) -> None:
    """A method of one request is asked as if it took a stream, of which nothing ever comes."""
    silent = Event()

    def nothing() -> Iterator[bytes]:
        silent.wait(60)
        yield from ()

    with serving() as port, channel(port) as here, channel(port) as other:
        ask = here.stream_stream(f"/t.T/{method}", None, None)
        held: list[Any] = [ask(nothing(), timeout=60) for _ in range(CALLS_MAX)]

        def keep() -> None:
            """A connection that broke on a busy machine took its calls with it: they are made again."""
            held[:] = [call if call.is_active() else ask(nothing(), timeout=60) for call in held]

        until(grpc.StatusCode.RESOURCE_EXHAUSTED, other, keep)
        for call in held:
            call.cancel()
        silent.set()
        until(grpc.StatusCode.OK, other)


def test_a_request_that_is_missing_is_no_request() -> None:
    with serving() as port, channel(port) as here, pytest.raises(grpc.RpcError) as caught:
        here.stream_unary("/t.T/One", None, None)(iter(()), timeout=10)
    failed: Any = caught.value
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_who_shows_a_certificate_is_counted_by_it() -> None:
    authority = tls.Authority.create("fleet")
    anna, ben = (
        tls.channel_credentials(authority.certificate, authority.client(f"marque:vehicle:{name}")) for name in "ab"
    )
    with serving(tls.server_credentials(authority.server(), authority.certificate)) as port, ExitStack() as stack:
        here, again, other = (stack.enter_context(channel(port, each)) for each in (anna, anna, ben))
        held = [unread(here) for _ in range(CALLS_MAX)]
        assert one(again) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert one(other) is grpc.StatusCode.OK
        assert len(held) == CALLS_MAX


def test_a_stream_nobody_reads_ends_with_its_connection() -> None:
    with serving(age_s=1, grace_s=1) as port, channel(port) as here, channel(port) as other:
        held = [unread(here) for _ in range(CALLS_MAX)]
        assert one(other) is grpc.StatusCode.RESOURCE_EXHAUSTED
        until(grpc.StatusCode.OK, other)
        assert len(held) == CALLS_MAX


def test_nobody_watches_health_for_ever() -> None:
    with serving() as port, channel(port) as here:
        assert here.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"x", timeout=10) == b"one x"
        with pytest.raises(grpc.RpcError) as caught:
            next(here.unary_stream("/grpc.health.v1.Health/Watch", None, None)(b"", timeout=10))
    failed: Any = caught.value
    assert failed.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:192.0.2.1:5000", "192.0.2.1"),
        ("ipv6:[2001:db8:1:2:3::4]:5000", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:9::9%5D:6000", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:6000", "fe80::/64"),
        ("ipv6:[::ffff:192.0.2.1]:5000", "192.0.2.1"),
        ("unix:", "unix"),
    ],
)
def test_an_address_is_known_by_its_network(peer: str, expected: str) -> None:
    assert network(peer) == expected
