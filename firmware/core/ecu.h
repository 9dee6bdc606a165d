/* What the parts of the ECU's own work know of each other: ecu.c, attempt.c, install.c, renew.c, watch.c, boot.c.
 *
 * Whatever may fail returns FW_OK, the check that refuses, or FW_STORAGE; what is durable is made so before it is held.
 */
#ifndef FW_ECU_H
#define FW_ECU_H

#include "state.h"

/* Between the parts of anything long (threshold.c). */
void fw_breathe(fw *ecu);

/* install.c (twin of secondary/install.py) */
fw_check fw_install_erase(fw *ecu);
fw_check fw_install_begin(fw *ecu, uint32_t offset, uint32_t size);
fw_check fw_install_check(fw *ecu);
fw_check fw_install_dependencies(fw *ecu);
fw_check fw_install_prepare_restart(fw *ecu);
fw_check fw_install_vote(fw *ecu, bool passed, fw_check *blamed);
fw_check fw_install_follow(fw *ecu);
fw_check fw_install_obey(fw *ecu, fw_phase phase);
bool fw_is_unproven(const fw *ecu);     /* a new image runs whose self-test has to be asked at this boot */
bool fw_is_reverting(const fw *ecu);    /* the new image runs still though it was given up */
uint32_t fw_held_octets(const fw *ecu); /* of the assigned image, in the other slot */

/* boot.c: without link and crypto, for boot stubs too */
fw_start fw_load_installation(fw_store *store, const fw_facts *facts, fw_installation *installation);
fw_check fw_boot(fw_store *store, fw_installation *installation, fw_check *blamed);

/* renew.c (twin of secondary/report.py and of settle and count) */
void fw_count(fw *ecu, fw_check check);      /* count a refusal; store it if its count is worth a write */
void fw_write_down(fw *ecu, fw_check check); /* one that no task waits for, and report it; FW_OK: a cycle begins */
fw_check fw_draw_nonce(fw *ecu);
void fw_settle(fw *ecu); /* there is a nonce to be read, and the report says what is */
void fw_load_counters(fw *ecu);

/* watch.c (twin of secondary/watch.py) */
void fw_watch_begin(fw *ecu);
void fw_watch_octets(fw *ecu, uint16_t octets);
void fw_watch_look(fw *ecu); /* count a delivery that crawls, once */
void fw_watch_end(fw *ecu);

#endif
