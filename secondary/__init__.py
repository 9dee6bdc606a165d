"""The Secondary: an ECU that verifies for itself before it trusts an octet; the Python twin of firmware/."""
