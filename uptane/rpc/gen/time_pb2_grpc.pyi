from collections.abc import Iterable, Iterator

import grpc

from uptane.rpc.gen import time_pb2

class TimeStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    Attest: grpc.UnaryUnaryMultiCallable[time_pb2.AttestRequest, time_pb2.AttestReply]

class TimeServicer:
    def Attest(self, request: time_pb2.AttestRequest, context: grpc.ServicerContext) -> time_pb2.AttestReply: ...

def add_TimeServicer_to_server(servicer: TimeServicer, server: grpc.Server) -> None: ...
