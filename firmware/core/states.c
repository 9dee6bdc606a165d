/* The table of states (twin of uptane/verify/states.py). What is not in it is refused.
 *
 * Two states to an octet, in the order of fw_state: the state after the event, or 0xF.
 */
#include "states.h"

#define PAIR(first, second) (uint8_t)((first) | (second) << 4)
#define NO 0xFu

static const uint8_t NEXT[FW_EVENTS][3] = {
    /* idle, prepared; trial, voted; committed, released */
    [FW_EVENT_PREPARE] = {PAIR(FW_PREPARED, FW_PREPARED), PAIR(NO, NO), PAIR(NO, FW_PREPARED)},
    [FW_EVENT_REBIND] = {PAIR(NO, FW_PREPARED), PAIR(NO, NO), PAIR(NO, NO)},
    [FW_EVENT_CANCEL] = {PAIR(FW_IDLE, FW_IDLE), PAIR(NO, NO), PAIR(NO, FW_RELEASED)},
    [FW_EVENT_ERASE] = {PAIR(FW_IDLE, NO), PAIR(NO, NO), PAIR(NO, FW_RELEASED)},
    [FW_EVENT_WRITE] = {PAIR(FW_IDLE, NO), PAIR(NO, NO), PAIR(NO, FW_RELEASED)},
    [FW_EVENT_ORDER_ACTIVATE] = {PAIR(NO, FW_PREPARED), PAIR(NO, NO), PAIR(NO, NO)},
    [FW_EVENT_ORDER_COMMIT] = {PAIR(NO, NO), PAIR(NO, FW_COMMITTED), PAIR(NO, NO)},
    [FW_EVENT_ORDER_ROLL_BACK] = {PAIR(FW_IDLE, FW_IDLE), PAIR(FW_IDLE, FW_IDLE), PAIR(FW_IDLE, NO)},
    [FW_EVENT_ORDER_RELEASE] = {PAIR(NO, NO), PAIR(NO, NO), PAIR(FW_RELEASED, NO)},
    [FW_EVENT_START] = {PAIR(NO, FW_TRIAL), PAIR(NO, NO), PAIR(NO, NO)},
    [FW_EVENT_FIRST_BOOT] = {PAIR(NO, NO), PAIR(FW_TRIAL, NO), PAIR(NO, NO)},
    [FW_EVENT_BOOT] = {PAIR(FW_IDLE, FW_PREPARED), PAIR(FW_IDLE, FW_VOTED), PAIR(FW_COMMITTED, FW_RELEASED)},
    [FW_EVENT_FALL_BACK] = {PAIR(NO, NO), PAIR(NO, FW_IDLE), PAIR(FW_IDLE, NO)},
    [FW_EVENT_PASSED] = {PAIR(NO, NO), PAIR(FW_VOTED, FW_VOTED), PAIR(FW_COMMITTED, NO)},
    [FW_EVENT_FAILED] = {PAIR(NO, NO), PAIR(FW_IDLE, FW_VOTED), PAIR(FW_COMMITTED, NO)},
    [FW_EVENT_CONFIRM] = {PAIR(NO, NO), PAIR(NO, FW_RELEASED), PAIR(NO, NO)},
};

uint8_t fw_next_state(uint8_t state, fw_event event)
{
    if (state > FW_RELEASED || event >= FW_EVENTS) {
        return FW_NO_STATE;
    }
    uint8_t pair = NEXT[event][state / 2];
    uint8_t next = (state & 1u) != 0 ? (uint8_t)(pair >> 4) : (uint8_t)(pair & 0xFu);
    return next == NO ? FW_NO_STATE : next;
}

bool fw_may_follow(uint8_t latest, fw_phase phase)
{
    switch (latest) {
    case FW_NO_PHASE:
        return phase == FW_ACTIVATE || phase == FW_ROLL_BACK;
    case FW_ACTIVATE:
        return phase == FW_COMMIT || phase == FW_ROLL_BACK;
    case FW_COMMIT:
        return phase == FW_RELEASE || phase == FW_ROLL_BACK;
    default:
        return false;
    }
}

fw_check fw_blamed(uint8_t outcome)
{
    switch (outcome) {
    case FW_SELF_TEST_FAILED:
        return FW_INSTALL_SELF_TEST;
    case FW_UNBOOTABLE:
        return FW_INSTALL_UNBOOTABLE;
    default:
        return FW_OK;
    }
}
