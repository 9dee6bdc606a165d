"""Every speed, size and scale figure, one command, side by side with its peer."""
