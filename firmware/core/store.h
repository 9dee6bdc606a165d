/* Small records that outlive power: a log in two halves of the state area, worn evenly (twin of uptane/shell/files.py).
 *
 * A record is whole or it is not there: its CRC is written last. When a half is full, the newest of every record is copied
 * into the other half, which counts only once its head is written. A cut at any flash operation leaves, for every name,
 * the older or the newer record.
 */
#ifndef FW_STORE_H
#define FW_STORE_H

#include "fw_port.h"

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
    uint32_t end;                /* where the next record goes */
    uint32_t sequence;           /* of the half in use */
    uint8_t half;
    uint16_t damaged;            /* bit per record: a newer copy was there and could not be read */
    fw_port *port;
} fw_store;

/* Find the newest records; makes the area ready if it was never used. False: the flash does not do as it is told. */
bool fw_store_open(fw_store *store, fw_port *port);

/* Durable at return. False: it could not be stored; the older record stands. */
bool fw_store_put(fw_store *store, fw_record record, const void *octets, uint16_t length);
bool fw_store_delete(fw_store *store, fw_record record);

/* In parts: begin with the whole length, add until it is full, end. The record counts from a true end on. */
bool fw_store_begin(fw_store *store, fw_record record, uint16_t length);
bool fw_store_add(fw_store *store, const void *octets, uint16_t length);
bool fw_store_end(fw_store *store);

/* Read a part of a record; false if it is not there or shorter. */
bool fw_store_get(const fw_store *store, fw_record record, uint16_t offset, void *octets, uint16_t length);
static inline uint16_t fw_store_length(const fw_store *store, fw_record record) { return store->length[record]; }
static inline bool fw_store_has(const fw_store *store, fw_record record) { return store->offset[record] != 0; }

#endif
