"""Everything of the simulator that touches the machine it runs on: processes, files, the terminal, real time."""
