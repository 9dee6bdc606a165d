"""Uptane without I/O: values, codecs, checks and link protocols that every component shares (shell/ and rpc/ excepted)."""
