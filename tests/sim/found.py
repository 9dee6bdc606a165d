"""Every plan that ever broke a rule, as it was when it did, and what was wrong. A line stays for ever.

Plans are texts (sim/plan_text.py) and no seeds: the same seed means another plan when plans are drawn in other ways.
"""

FOUND: tuple[tuple[str, str], ...] = (
    (
        "An ECU whose newest record was lost after the release stood in COMMITTED for ever: nobody released it again.",
        """
        plan 1 seed 17 image 3000 calm 95475
        vehicle 1 head brake:partial:classic seat:partial:classic
        1 2981 assign v1 0 0 0
        2 3267 rotate-supplier director 0 0 0
        3 30699 assign v1 0 0 3
        4 52069 revert v1 0 0 2
        5 3427 blackout v1.brake 20 1 0
        6 8422 rot v1.primary 0 1 0
        7 12360 blackout v1.seat 20 4 0
        8 31199 noise v1.bus.classic 18088 0 2000
        9 33003 moving v1 15753 1 0
        10 37471 blackout v1.brake 2000 2 0
        11 45522 rot v1.brake 0 3 0
        12 51120 blackout v1.seat 300 0 0
        13 56123 echo v1.bus.classic 17533 3 500
        14 79497 blackout v1.seat 0 2 0
        15 91797 blackout v1.primary 300 6 0
        16 95169 rot v1.seat 0 3 0
        """,
    ),
    (
        "A Primary whose newest count of nonces was lost drew a nonce again.",
        """
        plan 1 seed 115 image 3000 calm 98129
        vehicle 1 head brake:partial:classic
        6 7466 cut v1.primary 2000 6 0
        9 13976 rot v1.primary 0 2 0
        10 17382 cut v1.primary 9000 11 0
        """,
    ),
    (
        "A Primary whose newest report was lost signed another one with the same counter.",
        """
        plan 1 seed 145 image 64 calm 65708
        vehicle 1 head body:partial:classic
        2 11393 rot v1.primary 0 2 0
        15 36095 flicker v1.primary 9000 4 1
        """,
    ),
    (
        "A Primary whose newest manifest was lost signed another one with the same counter.",
        """
        plan 1 seed 221 image 64 calm 96584
        vehicle 1 head body:partial:classic seat:partial:fast
        2 20735 rotate-time director 0 0 0
        6 9132 rot v1.primary 0 0 0
        8 13372 blackout v1.primary 2000 8 0
        """,
    ),
    (
        "A Primary that was given a Root chain and then garbled octets put an older Root in place of the newest one.",
        """
        plan 1 seed 1048 image 3000 calm 46077
        vehicle 1 head brake:partial:classic
        2 9004 rotate-director director 0 0 0
        3 13172 renew director 0 0 0
        4 2836 blackout v1.primary 9000 4 0
        5 5585 garbled v1 29613 1 80
        """,
    ),
)
