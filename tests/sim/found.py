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
    (
        "An ECU that lost the record of its commit was told to release for ever, and never to commit again.",
        """
        plan 1 seed 5083 image 3000 calm 39688
        vehicle 1 head body:partial:fast
        vehicle 2 head seat:partial:fast body:partial:classic brake:partial:classic
        2 7011 assign v2 0 0 0
        4 8934 flicker v2.seat 9000 22 1
        7 22447 rot v2.body 0 2 0
        8 24226 flicker v2.seat 0 37 0
        9 25351 blackout v2.seat 20 0 0
        10 26888 blackout v2.seat 9000 2 1
        """,
    ),
    (
        "The simulator's own: a server died after the calm, and nobody started it again.",
        """
        plan 1 seed 5002 image 64 calm 85787
        vehicle 1 head light:full:fast brake:partial:fast
        vehicle 2 head
        5 54128 assign v1 0 0 0
        6 56588 revert v2 0 0 0
        24 56919 lossy v2 6452 1 80
        25 63625 crash director 7925 0 0
        """,
    ),
    (
        "The simulator's own: an ECU whose record of its slots was lost was started as if it had left the factory.",
        """
        plan 1 seed 5090 image 3000 calm 76152
        vehicle 1 head brake:partial:classic light:partial:classic body:full:fast
        vehicle 2 head door:partial:classic
        2 7363 assign v2 0 0 0
        3 13455 withdraw v2 0 0 0
        10 20273 rot v2.door 0 2 1
        16 37782 flicker v2.door 20 1 1
        """,
    ),
    (
        "The simulator's own: rates of a bus that changed while a frame was on the wire.",
        """
        plan 1 seed 10093 image 512 calm 67625
        vehicle 1 head light:full:fast
        vehicle 2 head door:partial:classic light:full:fast
        1 6600 revert v1 0 0 1
        2 8876 revert v2 0 0 1
        3 9758 withdraw v2 0 0 0
        4 1526 flicker v2.light 9000 27 0
        5 15048 flicker v2.primary 9000 0 0
        6 16094 partition v1/time 28972 3 0
        7 31035 cut v2.light 300 4 1
        8 42211 babble v2.bus.fast 2176 2 0
        9 42699 babble v2.bus.classic 3120 3 0
        10 44267 echo v2.bus.classic 3461 3 500
        11 52752 flicker v1.light 0 3 0
        12 53372 flicker v2.primary 300 57 1
        13 57095 flicker v1.primary 9000 0 0
        14 61089 cut v2.light 20 4 1
        15 61504 cut v2.door 9000 7 0
        """,
    ),
    (
        "A full ECU whose disk lost the delegated file that had vouched for an image prepared it all the same.",
        """
        plan 1 seed 549270270795 image 64 calm 85646
        vehicle 1 head seat:partial:classic brake:full:fast camera:full:classic
        vehicle 2 head camera:partial:fast
        5 56085 assign v1 0 0 0
        12 15979 rot v1.brake 0 1 1
        19 49495 flicker v1.brake 20 58 1
        """,
    ),
    (
        "An ECU whose disk was full when it had to draw a nonce never drew one again, and could not be given the time.",
        """
        plan 1 seed 607430124590 image 512 calm 134474
        vehicle 1 head light:partial:fast seat:full:fast camera:partial:fast
        1 6969 revert v1 0 0 1
        2 27753 revert v1 0 0 3
        3 58092 resize v1 0 0 1900
        4 1320 flicker v1.seat 9000 34 0
        5 8604 flicker v1.light 0 14 0
        6 9014 blackout v1.seat 2000 5 0
        7 11384 lossy v1 12677 1 5
        8 14729 blackout v1.camera 0 0 0
        9 19617 flicker v1.camera 0 41 0
        10 27435 flicker v1.light 20 30 0
        11 49927 blackout v1.light 0 11 0
        12 52528 proxy v1 19903 1 0
        13 56447 flicker v1.primary 20 2 0
        14 60695 blackout v1.seat 0 7 0
        15 77004 blackout v1.seat 9000 5 0
        16 83293 crash image 13972 3 0
        17 84184 flicker v1.camera 9000 28 0
        18 90712 blackout v1.primary 0 11 1
        19 100389 flicker v1.primary 20 57 1
        20 104402 flicker v1.camera 9000 26 0
        21 108560 flicker v1.seat 9000 55 1
        22 111306 blackout v1.seat 9000 10 1
        23 113314 full v1.light 15100 1 0
        24 117143 flicker v1.light 0 59 0
        """,
    ),
    (
        "At every boot what was left of a lost record passed for its newest copy, though it had been written anew.",
        """
        plan 1 seed 726647627579 image 3000 calm 70436
        vehicle 1 head light:partial:fast seat:partial:classic body:full:fast
        vehicle 2 head light:partial:classic door:partial:fast
        1 2798 rotate-time director 0 0 0
        2 6017 resize v2 0 0 20
        3 9532 assign v1 0 0 2
        5 28374 resize v1 0 0 494
        6 1991 rot v1.primary 0 0 1
        21 53831 flicker v1.primary 300 37 1
        22 54328 unplug v1.light 17276 3 0
        23 58407 crash director 3175 2 0
        24 61244 proxy v1 2503 1 0
        """,
    ),
    (
        "Somebody without keys on a bus acknowledged a commit in an ECU's place, and the vehicle released without it.",
        """
        plan 1 seed 222209485853 image 512 calm 56033
        vehicle 1 head light:partial:fast door:partial:fast
        1 8650 assign v1 0 0 0
        2 24996 sleep v1 0 0 2
        3 1246 flicker v1.light 9000 0 1
        4 2550 blackout v1.light 2000 1 1
        5 4173 bus-off v1.door 1987 3 0
        6 4185 intruder v1.bus.fast 13940 2 0
        7 10453 blackout v1.primary 20 6 0
        8 11718 intruder v1.bus.fast 14541 3 0
        9 12465 cut v1.door 2000 12 1
        11 23363 intruder v1.bus.fast 10944 1 0
        12 25030 blackout v1.door 20 9 1
        13 26707 intruder v1.bus.fast 6637 3 0
        14 27787 cut v1.light 9000 1 1
        """,
    ),
    (
        "A Primary without a coordinator that had not started its image yet could not roll back, and never ended.",
        """
        plan 1 seed 222209486956 image 3000 calm 113651
        vehicle 1 head
        vehicle 2 head seat:partial:classic
        2 5101 assign v2 0 0 0
        4 28507 assign v1 0 0 0
        5 34246 sleep v2 0 0 1
        9 1467 full v1.primary 15840 3 0
        12 24599 blackout v1.primary 0 9 1
        13 32412 flicker v1.primary 2000 16 1
        """,
    ),
    (
        "(The judge's mistake.) A commit told to nobody and lost with its record was held against a roll back.",
        """
        plan 1 seed 44098649419 image 1500 calm 103576
        vehicle 1 head brake:partial:fast
        1 9977 assign v1 0 0 3
        2 33571 assign v1 0 0 0
        3 35454 renew director 0 0 0
        4 56811 assign v1 0 0 2
        5 8932 flicker v1.primary 0 20 1
        6 12328 blackout v1.brake 0 1 0
        7 13548 rot v1.primary 0 3 0
        8 13974 slow v1 8075 3 3000
        9 35738 flicker v1.primary 20 32 1
        10 42119 cut v1.brake 0 7 0
        11 43009 flicker v1.primary 20 40 0
        12 44982 blackout v1.primary 20 7 1
        13 45478 flicker v1.primary 300 48 1
        14 62639 moving v1 1167 2 0
        15 67036 partition v1/director 22629 1 0
        16 74337 twice v1 24615 0 100
        17 74385 cut v1.primary 9000 6 0
        18 80677 intruder v1.bus.fast 6150 0 0
        19 81772 twice v1 26824 0 100
        20 82804 cut v1.brake 0 12 1
        21 92055 flicker v1.primary 20 8 0
        22 97306 twice v1 8709 3 20
        23 101480 noise v1.bus.fast 4952 2 10
        """,
    ),
    (
        "(The judge's mistake.) An operator whose release counter had been overtaken meanwhile gave the update up.",
        """
        plan 1 seed 44098648628 image 1500 calm 97908
        vehicle 1 head camera:partial:classic
        vehicle 2 head brake:partial:fast
        1 2687 assign v2 0 0 0
        2 8712 assign v1 0 0 0
        3 25651 rotate-time director 0 0 0
        4 28809 assign v2 0 0 0
        5 31234 assign v1 0 0 0
        6 34296 withdraw v1 0 0 0
        7 55523 assign v2 0 0 0
        8 55909 assign v1 0 0 2
        9 6900 crash time 4880 1 0
        10 9099 flicker v1.primary 0 42 1
        11 9708 crash image 13029 1 0
        12 10554 echo v1.bus.classic 17162 2 10
        13 11428 cut v1.camera 20 6 0
        14 13135 cut v2.primary 20 10 0
        15 14307 cut v2.primary 0 6 1
        16 38456 blackout v2.brake 0 2 1
        17 42999 cut v1.primary 2000 12 0
        18 46092 blackout v1.camera 20 9 0
        19 48664 bus-off v2.brake 1802 0 0
        20 63740 flicker v2.brake 20 16 1
        21 69315 blackout v2.brake 300 8 0
        22 69504 flicker v1.camera 300 58 1
        23 70882 babble v1.bus.classic 3722 1 0
        24 81130 blackout v1.camera 0 11 0
        25 85999 deaf v1.bus.classic 9057 3 2000
        26 93282 blackout v1.camera 0 5 0
        27 94205 flicker v1.camera 300 16 0
        """,
    ),
)
