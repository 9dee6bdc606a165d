"""The whole system in one process, one thread, one seed: shipping cores on virtual time, with every fault."""
