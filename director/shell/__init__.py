"""The Director's I/O: gRPC, database, console, clock."""
