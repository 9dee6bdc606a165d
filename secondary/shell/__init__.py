"""The Secondary's I/O: its CAN bus and its slots."""
