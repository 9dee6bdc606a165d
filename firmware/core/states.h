/* The states of an ECU in the vehicle transaction as a table, and which order may follow which (twin of
 * uptane/verify/states.py; docs/wire.md, "States").
 */
#ifndef FW_STATES_H
#define FW_STATES_H

#include "installation.h"

typedef enum {
    FW_EVENT_PREPARE,
    FW_EVENT_REBIND,
    FW_EVENT_CANCEL,
    FW_EVENT_ERASE,
    FW_EVENT_WRITE,
    FW_EVENT_ORDER_ACTIVATE, /* orders in the order of fw_phase */
    FW_EVENT_ORDER_COMMIT,
    FW_EVENT_ORDER_ROLL_BACK,
    FW_EVENT_ORDER_RELEASE,
    FW_EVENT_START,
    FW_EVENT_FIRST_BOOT,
    FW_EVENT_BOOT,
    FW_EVENT_FALL_BACK,
    FW_EVENT_PASSED,
    FW_EVENT_FAILED,
    FW_EVENT_CONFIRM,
    FW_EVENTS
} fw_event;

#define FW_NO_STATE 0xFFu /* refused as INSTALL_STATE */

uint8_t fw_next_state(uint8_t state, fw_event event);

/* Whether `phase` may follow `latest`, which is FW_NO_PHASE at first. */
bool fw_may_follow(uint8_t latest, fw_phase phase);

/* The check by which an outcome other than success is reported; FW_OK for none. */
fw_check fw_blamed(uint8_t outcome);

#endif
