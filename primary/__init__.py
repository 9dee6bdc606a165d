"""The Primary: fetches, verifies fully, hands on to the Secondaries, and moves the vehicle as a whole."""
