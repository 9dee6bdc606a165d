"""The Primary's I/O: the two servers, the CAN buses, its files."""
