/* What the core does, told by name: which task it takes, which record it stores or deletes, between the octets that
 * reach the flash; and how the ECU looks from outside. For whoever compares it with its Python twin, or checks it in
 * the simulator; no board has this.
 *
 * The linker leads these calls here (-Wl,--wrap=NAME for every __wrap_NAME below); the real function does the work.
 */
#include "host.h"

#define PARTS_MAX 65536u /* no record is longer: its length has 16 bits */

fw_nrc __real_fw_do(fw *ecu, const fw_task *task);
bool __real_fw_store_put(fw_store *store, fw_record record, const void *octets, uint16_t length);
bool __real_fw_store_delete(fw_store *store, fw_record record);
bool __real_fw_store_begin(fw_store *store, fw_record record, uint16_t length);
bool __real_fw_store_add(fw_store *store, const void *octets, uint16_t length);
bool __real_fw_store_end(fw_store *store);

fw_nrc __wrap_fw_do(fw *ecu, const fw_task *task);
bool __wrap_fw_store_put(fw_store *store, fw_record record, const void *octets, uint16_t length);
bool __wrap_fw_store_delete(fw_store *store, fw_record record);
bool __wrap_fw_store_begin(fw_store *store, fw_record record, uint16_t length);
bool __wrap_fw_store_add(fw_store *store, const void *octets, uint16_t length);
bool __wrap_fw_store_end(fw_store *store);

uint16_t fw_host_report(const fw_port *port, uint8_t octets[FW_REPORT_MAX]);
uint8_t
fw_host_refusals(const fw_port *port, uint16_t checks[FW_REFUSAL_KINDS_MAX], uint32_t counts[FW_REFUSAL_KINDS_MAX]);
uint32_t fw_host_record(fw_port *port, uint8_t record, uint8_t octets[PARTS_MAX]);

static struct {
    uint8_t octets[PARTS_MAX];
    uint32_t length;
    fw_record record;
} parts; /* of the record that is being stored in parts; one ECU runs at a time */

fw_nrc __wrap_fw_do(fw *ecu, const fw_task *task)
{
    uint32_t option = task->kind == FW_BEGIN_IMAGE ? task->offset : task->option;
    fw_host_note(
        ecu->port, FW_NOTE_TASK, (uint32_t)task->kind, option, task->octets,
        task->kind == FW_WRITE_BLOCK ? task->length : 0);
    fw_nrc nrc = __real_fw_do(ecu, task);
    fw_host_note(ecu->port, FW_NOTE_DONE, (uint32_t)nrc, ecu->latest_refusal, NULL, 0);
    return nrc;
}

bool __wrap_fw_store_put(fw_store *store, fw_record record, const void *octets, uint16_t length)
{
    fw_host_note(store->port, FW_NOTE_STORING, (uint32_t)record, 0, NULL, 0);
    bool done = __real_fw_store_put(store, record, octets, length);
    fw_host_note(store->port, FW_NOTE_STORED, (uint32_t)record, done, octets, length);
    return done;
}

bool __wrap_fw_store_delete(fw_store *store, fw_record record)
{
    bool there = fw_store_has(store, record);
    fw_host_note(store->port, FW_NOTE_DELETING, (uint32_t)record, there, NULL, 0);
    bool done = __real_fw_store_delete(store, record);
    fw_host_note(store->port, FW_NOTE_DELETED, (uint32_t)record, done && there, NULL, 0);
    return done;
}

bool __wrap_fw_store_begin(fw_store *store, fw_record record, uint16_t length)
{
    parts.length = 0;
    parts.record = record;
    fw_host_note(store->port, FW_NOTE_STORING, (uint32_t)record, 0, NULL, 0);
    return __real_fw_store_begin(store, record, length);
}

bool __wrap_fw_store_add(fw_store *store, const void *octets, uint16_t length)
{
    if (length > 0 && parts.length + length <= PARTS_MAX) {
        memcpy(parts.octets + parts.length, octets, length);
        parts.length += length;
    }
    return __real_fw_store_add(store, octets, length);
}

bool __wrap_fw_store_end(fw_store *store)
{
    bool done = __real_fw_store_end(store);
    fw_host_note(store->port, FW_NOTE_STORED, (uint32_t)parts.record, done, parts.octets, parts.length);
    return done;
}

/* The report that a client would read now: its length, 0 for none. */
uint16_t fw_host_report(const fw_port *port, uint8_t octets[FW_REPORT_MAX])
{
    memcpy(octets, port->ecu.report.octets, port->ecu.report.length);
    return port->ecu.report.length;
}

/* What was refused and how often; how many kinds. */
uint8_t
fw_host_refusals(const fw_port *port, uint16_t checks[FW_REFUSAL_KINDS_MAX], uint32_t counts[FW_REFUSAL_KINDS_MAX])
{
    for (uint8_t i = 0; i < port->ecu.refusals.kinds; i++) {
        checks[i] = port->ecu.refusals.of[i].check;
        counts[i] = port->ecu.refusals.of[i].count;
    }
    return port->ecu.refusals.kinds;
}

/* A record as a boot would find it: its length, 0 for none. What the ECU itself knows is left as it is. */
uint32_t fw_host_record(fw_port *port, uint8_t record, uint8_t octets[PARTS_MAX])
{
    fw_store store;
    if (!fw_store_open(&store, port) || !fw_store_has(&store, (fw_record)record)) {
        return 0;
    }
    uint16_t length = fw_store_length(&store, (fw_record)record);
    return fw_store_get(&store, (fw_record)record, 0, octets, length) ? length : 0;
}
