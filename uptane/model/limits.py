"""Every limit that two ends must agree on, with its reason beside it. Octets unless the name says otherwise."""

from __future__ import annotations

ROOT_LENGTH_MAX = 65_536  # ours is 700; 16 hybrid ML-DSA-65 keys and as many signatures take 84,000 only in theory
TIMESTAMP_LENGTH_MAX = 16_384  # ours is 180; two hybrid signatures under rotation take 7,000
SNAPSHOT_LENGTH_MAX = 8_388_608  # 16,384 hash bins at 60 octets are 1 MB; eight times that
DIRECTOR_TARGETS_LENGTH_MAX = 262_144  # 128 ECUs at 115 are 15,000; with URLs and wrapped keys 180,000
TARGETS_LENGTH_MAX = 67_108_864  # 100,000 images in one file are 9 MB
REPORT_LENGTH_MAX = 8_192  # ours is 300; a hybrid signature adds 3,400
MANIFEST_LENGTH_MAX = 1_048_576  # 128 reports of at most 8,192
ATTESTATION_LENGTH_MAX = 8_192  # ours is 110; two hybrid signatures under rotation take 7,000
ORDER_LENGTH_MAX = 8_192  # ours is 150
ENTRY_LENGTH_MAX = 8_192  # one entry of a list; ours is 115, every field at its longest 6,400
IMAGE_LENGTH_MAX = 0xFFFF_FFFF  # lengths are 32 bit on the wire

ROOTS_PER_CYCLE_MAX = 64  # links of a Root chain walked in one cycle; a vehicle a decade behind needs a few cycles
DELEGATION_DEPTH_MAX = 8  # OEM to supplier to division to project is 3
DELEGATIONS_VISITED_MAX = 64  # roles read for one image; bins need 1, suppliers a handful
ECUS_MAX = 128  # ECUs of one vehicle; today's largest have about 100
BOOT_ATTEMPTS_MAX = 3  # boots of a voted image before it counts as unbootable
ERASES_PER_TARGETS_MAX = 4  # erases of a slot under one Targets version: flash wears
