"""The server that Director and time service have in common: nobody takes all of its places."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from director.shell.hosting import CALLS_MAX, CALLS_PER_CALLER_MAX, grpc_server
from tests.shell.repository_process import status_of, wait_for
from uptane.rpc.gen import time_pb2 as pb
from uptane.rpc.gen import time_pb2_grpc as rpc


class Time(rpc.TimeServicer):
    def Attest(self, request: pb.AttestRequest, context: grpc.ServicerContext) -> pb.AttestReply:
        return pb.AttestReply(attestations=[b"now"])


@pytest.fixture
def port() -> Iterator[int]:
    server = grpc_server(pb.DESCRIPTOR.services_by_name["Time"].full_name)
    rpc.add_TimeServicer_to_server(Time(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_health_is_told_and_reflection_is_not(port: int) -> None:
    def reflected() -> Any:
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        return reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked, timeout=10)

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service="marque.time.v1.Time")
        reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        assert status_of(reflected)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_one_caller_is_told_to_come_again_before_all_places_are_taken(port: int) -> None:
    silent = Event()

    def nothing() -> Iterator[bytes]:
        silent.wait(60)
        yield from ()

    def attested() -> bytes:
        try:
            return rpc.TimeStub(other).Attest(pb.AttestRequest(), timeout=10).attestations[0]
        except grpc.RpcError:
            return b""

    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address) as channel, grpc.insecure_channel(address) as other:
        method: Any = channel.stream_stream("/marque.time.v1.Time/Attest", None, None)
        held = [method(nothing(), timeout=60) for _ in range(CALLS_MAX)]
        told = sum(
            status_of(lambda call=call: call)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
            for call in held[CALLS_PER_CALLER_MAX:]
        )
        assert told == CALLS_MAX - CALLS_PER_CALLER_MAX
        assert not any(call.done() for call in held[:CALLS_PER_CALLER_MAX])
        for call in held:
            call.cancel()
        silent.set()
        assert wait_for(attested) == b"now"
