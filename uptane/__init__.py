"""Uptane without I/O: values, codecs, checks and link protocols that all components share (shell/ and rpc/ excepted)."""
