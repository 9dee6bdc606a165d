/* Small records that outlive power: a log in two halves of the state area, worn evenly (twin of uptane/shell/files.py).
 *
 * A record is whole or it is not there: its CRC is written last, then its mark. When a half is full, the newest of
 * every record is copied into the other half, which counts only once its head is written. A cut at any flash operation
 * leaves, for every name, the older or the newer record. What the flash lost later is told from what a cut broke off by
 * the mark: then the record before counts, if need be from the half before, and `damaged` names it.
 *
 * In the area, numbers big-endian. A half begins with two heads, records of the name 0x3F which hold the half's
 * sequence; the half with the higher one counts. A record begins and ends at a multiple of the unit:
 *
 *     name, or 0x40 | name for a deletion    1
 *     format of the record's frame, 1        1
 *     length                                 2
 *     CRC-32 of its offset and these four    4
 *     octets                                 length
 *     CRC-32 of name to length and octets    4, then 0xFF to the unit's end
 *     mark: zeros                            one unit
 *
 * What is in the octets bears a format number of its own as its first octet (counters: none, they are four octets).
 * Newer software writes a new format only once it is released, and may add octets behind those of a format at any time:
 * older software passes over them, and over names it does not know. So what software on trial leaves, the released one
 * reads.
 */
#ifndef FW_STORE_H
#define FW_STORE_H

#include "pen.h"

typedef enum {
    FW_RECORD_ROOT,         /* "director/root" */
    FW_RECORD_TARGETS,      /* "director/targets" */
    FW_RECORD_PREVIOUS,     /* "director/previous" */
    FW_RECORD_TIME,         /* "director/time" */
    FW_RECORD_INSTALLATION, /* "installation" */
    FW_RECORD_REPORT,       /* "report": highest reserved counter */
    FW_RECORD_NONCE,        /* "nonce": counter */
    FW_RECORD_REFUSALS,     /* "refusals" */
    FW_RECORD_SLOT_0,       /* progress of a download; no twin: the Python shell keeps it beside the slot */
    FW_RECORD_SLOT_1,
    FW_RECORDS
} fw_record;

typedef struct {
    uint32_t offset[FW_RECORDS]; /* of the newest record's octets in the state area; 0: none */
    uint16_t length[FW_RECORDS];
    uint32_t end;         /* where the next record goes */
    uint32_t base, limit; /* of the half in use */
    uint32_t sequence;    /* of it */
    uint16_t damaged;     /* bit per record: a newer copy cannot be read; FW_RECORDS: nor whose it is */
    struct {
        bool open;
        uint8_t name;
        uint16_t length;
        uint32_t start, crc;
        fw_pen pen;
    } writing; /* of the record that was begun */
    fw_port *port;
} fw_store;

/* Find the newest records; makes the area ready if it was never used. False: the flash does not do as it is told, or
 * what was an area of ours can be read no more. */
bool fw_store_open(fw_store *store, fw_port *port);

/* Copy into the other half now if little is left of this one: for when nobody waits for us. */
void fw_store_tidy(fw_store *store);

/* Durable at return. False: it could not be stored; the older record stands. */
bool fw_store_put(fw_store *store, fw_record record, const void *octets, uint16_t length);
bool fw_store_delete(fw_store *store, fw_record record);

/* In parts: begin with the whole length, add until it is full, end. The record counts from a true end on; one that
 * is not ended is given up by the next beginning. */
bool fw_store_begin(fw_store *store, fw_record record, uint16_t length);
bool fw_store_add(fw_store *store, const void *octets, uint16_t length);
bool fw_store_end(fw_store *store);

/* Read a part of a record; false if it is not there or shorter. */
bool fw_store_get(const fw_store *store, fw_record record, uint16_t offset, void *octets, uint16_t length);
static inline uint16_t fw_store_length(const fw_store *store, fw_record record)
{
    return store->length[record];
}
static inline bool fw_store_has(const fw_store *store, fw_record record)
{
    return store->offset[record] != 0;
}

#endif
