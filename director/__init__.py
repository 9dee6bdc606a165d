"""The Director: decides which image goes on which ECU, and signs that."""
