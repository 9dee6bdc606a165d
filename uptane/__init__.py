"""What every component shares: values, codecs, checks and link protocols, without I/O (shell/ and rpc/ excepted)."""
