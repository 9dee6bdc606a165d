"""The Image repository's I/O: gRPC, blobs, database, console, key files."""
