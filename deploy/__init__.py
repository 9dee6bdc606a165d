"""Packages for boards: what `make deb` puts together, and the files that go into it. Nothing of it runs on a board."""
