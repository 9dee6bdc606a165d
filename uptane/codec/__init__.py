"""Octets to model and back; nothing else knows an encoding. One encoding per value, anything else is Malformed."""
