"""Frozen values of the Standard; no encoding, no checks beyond their own alphabet."""
