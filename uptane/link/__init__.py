"""Primary to Secondary, from UDS service down to CAN frame, as machines without I/O."""
