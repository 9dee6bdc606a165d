"""The Secondary for microcontrollers, in C11 (include/, core/, port/), and the tools around it (tools/)."""
