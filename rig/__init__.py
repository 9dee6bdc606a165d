"""The rig: an ECU on a bench (or emulated, or a process) is probed, updated, attacked and cut off; then it is reported.

Everything reaches the ECU as a workshop or a Primary would: over its CAN channel, its console and its power switch. No
component is imported, so that whatever speaks docs/wire.md can be put under it.
"""
