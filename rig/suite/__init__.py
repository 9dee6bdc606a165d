"""The acceptance suite, as cases that any user could have written with the plugin's fixtures."""
