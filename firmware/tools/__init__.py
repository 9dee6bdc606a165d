"""What builds, provisions and runs the firmware, and what is generated for it."""
