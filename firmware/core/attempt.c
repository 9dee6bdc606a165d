/* A task of the UDS server: carried out, or refused, counted, and answered with a code (twin of secondary/attempt.py
 * and of the taking of what was delivered in delivered.py).
 */
#include "ecu.h"

#define OPTION_IMAGE 0x00u

static fw_check followed(fw *ecu, fw_check taken)
{
    return taken == FW_OK ? fw_install_follow(ecu) : taken;
}

static fw_check take_order(fw *ecu)
{
    uint8_t phase;
    fw_check check = fw_check_order(ecu, &phase);
    return check == FW_OK ? fw_install_obey(ecu, (fw_phase)phase) : check;
}

/* The checks of routine 0202 that there are for an ECU that verifies partially. */
static fw_check verify(fw *ecu, uint8_t option)
{
    fw_check check;
    switch (option) {
    case OPTION_IMAGE:
        return fw_install_check(ecu);
    case FW_OBJECT_ROOT:
        return followed(ecu, fw_take_root(ecu));
    case FW_OBJECT_TARGETS:
        return followed(ecu, fw_take_targets(ecu));
    case FW_OBJECT_ATTESTATION:
        check = fw_take_attestation(ecu);
        return check == FW_OK ? fw_draw_nonce(ecu) : check;
    default:
        return take_order(ecu);
    }
}

static fw_check begin_object(fw *ecu, const fw_task *task)
{
    if (fw_object_length_max(task->option) == 0) {
        fw_object_clear(&ecu->object); /* whatever is begun forgets what was there */
        return FW_LINK_RANGE;          /* of no use to this ECU */
    }
    fw_object_begin(&ecu->object, ecu->facts, task->option, task->size);
    return FW_OK;
}

static fw_check write_block(fw *ecu, const fw_task *task)
{
    if (fw_object_is_coming(&ecu->object)) {
        fw_object_add(&ecu->object, task->octets, task->length);
        return FW_OK;
    }
    ecu->untouched = false;
    return fw_slots_write(ecu, task->octets, task->length) ? FW_OK : FW_STORAGE;
}

static fw_check work(fw *ecu, const fw_task *task)
{
    switch (task->kind) {
    case FW_BEGIN_OBJECT:
        return begin_object(ecu, task);
    case FW_BEGIN_IMAGE:
        if (fw_object_is_coming(&ecu->object)) {
            fw_object_clear(&ecu->object);
        }
        return fw_install_begin(ecu, task->offset, task->size);
    case FW_WRITE_BLOCK:
        return write_block(ecu, task);
    case FW_END_TRANSFER:
        if (fw_object_is_coming(&ecu->object)) {
            fw_object_end(&ecu->object);
            return FW_OK;
        }
        return fw_slots_sync(ecu) ? FW_OK : FW_STORAGE;
    case FW_ERASE:
        return fw_install_erase(ecu);
    case FW_VERIFY:
        return verify(ecu, task->option);
    case FW_DEPENDENCIES:
        return fw_install_dependencies(ecu);
    case FW_PREPARE_RESTART:
    default:
        return fw_install_prepare_restart(ecu);
    }
}

static fw_nrc code_of(fw_check check, fw_task_kind kind)
{
    switch (check) {
    case FW_LINK_SEQUENCE:
        return FW_NRC_SEQUENCE;
    case FW_LINK_RANGE:
        return FW_NRC_RANGE;
    case FW_INSTALL_STATE:
    case FW_TIME_UNATTESTED:
        return FW_NRC_CONDITIONS;
    case FW_LINK_UNVERIFIED:
        return kind == FW_BEGIN_IMAGE ? FW_NRC_DOWNLOAD : FW_NRC_CONDITIONS;
    default:
        return kind == FW_BEGIN_IMAGE ? FW_NRC_DOWNLOAD : FW_NRC_PROGRAMMING;
    }
}

static void watch(fw *ecu, const fw_task *task)
{
    if (task->kind == FW_BEGIN_IMAGE || task->kind == FW_BEGIN_OBJECT) {
        fw_watch_begin(ecu);
    } else if (task->kind == FW_WRITE_BLOCK) {
        fw_watch_octets(ecu, task->length);
    } else if (task->kind == FW_END_TRANSFER) {
        fw_watch_end(ecu);
    }
}

static bool is_for_others(const fw_task *task)
{
    return task->kind == FW_VERIFY && task->option != OPTION_IMAGE && fw_object_length_max(task->option) == 0;
}

fw_nrc fw_do(fw *ecu, const fw_task *task)
{
    fw_nrc nrc = FW_DONE;
    watch(ecu, task);
    if (is_for_others(task)) {
        nrc = FW_NRC_RANGE;
    } else {
        fw_check check = work(ecu, task);
        if (check == FW_STORAGE) {
            ecu->latest_refusal = FW_OK;
            nrc = FW_NRC_PROGRAMMING;
        } else if (check != FW_OK) {
            fw_count(ecu, check);
            nrc = code_of(check, task->kind);
        }
    }
    if (task->kind == FW_ERASE || task->kind == FW_VERIFY || task->kind == FW_PREPARE_RESTART) {
        fw_settle(ecu); /* there may be something new to report */
    }
    return nrc;
}
