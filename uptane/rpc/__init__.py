"""The servers' APIs over gRPC; signed metadata crosses them as opaque octets."""
