"""Pure checks, and the order in which the Standard runs them. Only threshold.py makes a Verified."""
