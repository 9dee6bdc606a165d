"""One update from end to end, with real processes and paced CAN between them."""
