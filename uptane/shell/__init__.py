"""I/O that the components share; imported only by their shells and entry points."""
