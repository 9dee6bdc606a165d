/* Small records that outlive power (twin of uptane/shell/files.py): writing them, and the change of halves.
 *
 * What holds: nothing that counts is ever erased or written over; the half being copied into does not count. Flash that
 * refuses a write is not written there again: the next record begins the other half. Finding records is store_scan.c's.
 */
#include "store_log.h"

#include <string.h>

/* ------------------------------------------------------------------------------------------------ one record's
 * octets */

static void flush(fw_store *store)
{
    uint32_t unit = fw_port_geometry(store->port)->unit;
    uint32_t length = fw_store_rounded(store->writing.staged, unit);
    if (!store->writing.failed && length > 0) {
        memset(store->writing.octets + store->writing.staged, 0xFF, length - store->writing.staged);
        store->writing.failed =
            !fw_port_write(store->port, FW_AREA_STATE, store->writing.at, store->writing.octets, length);
    }
    store->writing.at += length;
    store->writing.staged = 0;
}

static void append(fw_store *store, const uint8_t *octets, uint32_t length)
{
    while (length > 0) {
        uint32_t part = FW_STORE_CHUNK - store->writing.staged;
        part = part < length ? part : length;
        memcpy(store->writing.octets + store->writing.staged, octets, part);
        store->writing.staged = (uint8_t)(store->writing.staged + part);
        octets += part;
        length -= part;
        if (store->writing.staged == FW_STORE_CHUNK) {
            flush(store);
        }
    }
}

static void append_number(fw_store *store, uint32_t number)
{
    uint8_t octets[4];
    fw_put_u32(octets, number);
    append(store, octets, sizeof octets);
}

/* Begin a record's frame at `at`. */
static void open_record(fw_store *store, uint32_t at, uint8_t name, uint16_t length)
{
    uint8_t prefix[FW_STORE_PREFIX];
    fw_store_prefix(prefix, at, name, length);
    store->writing.open = true;
    store->writing.failed = false;
    store->writing.name = name;
    store->writing.staged = 0;
    store->writing.length = length;
    store->writing.start = at;
    store->writing.at = at;
    store->writing.crc = fw_store_crc(FW_STORE_CRC, prefix, FW_STORE_CRC_FROM);
    append(store, prefix, sizeof prefix);
}

/* End it: its octets and CRC have been appended. */
static bool close_record(fw_store *store)
{
    static const uint8_t mark[FW_STORE_CHUNK]; /* zeros */
    uint32_t unit = fw_port_geometry(store->port)->unit;
    flush(store);
    store->writing.open = false;
    return !store->writing.failed && fw_port_write(store->port, FW_AREA_STATE, store->writing.at, mark, unit);
}

static uint32_t size_of(const fw_store *store, uint16_t length)
{
    return fw_store_record_size(fw_port_geometry(store->port)->unit, length);
}

/* ------------------------------------------------------------------------------------------------------ the two
 * halves */

bool fw_store_copy(fw_store *store, fw_record record, uint32_t at)
{
    uint8_t octets[FW_STORE_CHUNK];
    uint32_t from = store->offset[record];
    uint32_t left = (uint32_t)store->length[record] + FW_STORE_CRC_LENGTH; /* its CRC as it is: rot stays rot */
    open_record(store, at, (uint8_t)record, store->length[record]);
    while (left > 0) {
        uint32_t part = left < sizeof octets ? left : (uint32_t)sizeof octets;
        fw_port_read(store->port, FW_AREA_STATE, from, octets, part);
        append(store, octets, part);
        from += part;
        left -= part;
    }
    return close_record(store);
}

bool fw_store_head(fw_store *store, uint8_t half, uint32_t sequence)
{
    uint32_t at = fw_store_base(store, half);
    for (uint8_t copies = 0; copies < FW_STORE_HEADS; copies++) {
        uint8_t octets[4];
        fw_put_u32(octets, sequence);
        open_record(store, at, FW_STORE_HEAD, sizeof octets);
        append(store, octets, sizeof octets);
        append_number(store, ~fw_store_crc(store->writing.crc, octets, sizeof octets));
        if (!close_record(store)) {
            return false;
        }
        at += size_of(store, sizeof octets);
    }
    return true;
}

bool fw_store_erase(fw_store *store, uint8_t half)
{
    const fw_geometry *geometry = fw_port_geometry(store->port);
    uint32_t base = fw_store_base(store, half);
    for (uint32_t offset = 0; offset < geometry->state_size / 2; offset += geometry->page) {
        if (!fw_port_erase(store->port, FW_AREA_STATE, base + offset)) {
            return false;
        }
        (void)fw_port_breathe(store->port);
    }
    return true;
}

/* Go on in the other half, with the newest of every record. False: this half stands. */
static bool change_halves(fw_store *store)
{
    uint8_t other = (uint8_t)(1u - store->half);
    uint32_t at = fw_store_records(store, other);
    if (!fw_store_erase(store, other)) {
        return false;
    }
    for (uint8_t name = 0; name < FW_RECORDS; name++) {
        if (store->offset[name] == 0) {
            continue;
        }
        if (!fw_store_copy(store, (fw_record)name, at)) {
            return false;
        }
        at += size_of(store, store->length[name]);
    }
    if (!fw_store_head(store, other, store->sequence + 1)) {
        return false;
    }
    store->half = other;
    store->sequence++;
    fw_store_scan(store, other);
    return true;
}

void fw_store_tidy(fw_store *store)
{
    if (fw_store_limit(store) - store->end < fw_port_geometry(store->port)->state_size / 8) {
        (void)change_halves(store);
    }
}

/* -------------------------------------------------------------------------------------------------------------
 * records */

static bool begin(fw_store *store, uint8_t name, uint16_t length)
{
    uint32_t size = size_of(store, length);
    if (store->writing.open && store->writing.at > store->writing.start) {
        store->end = store->writing.start + size_of(store, store->writing.length); /* given up in its middle */
    }
    store->writing.open = false;
    if (store->end > fw_store_limit(store) || fw_store_limit(store) - store->end < size) {
        if (!change_halves(store) || fw_store_limit(store) - store->end < size) {
            return false;
        }
    }
    open_record(store, store->end, name, length);
    return true;
}

bool fw_store_begin(fw_store *store, fw_record record, uint16_t length)
{
    return begin(store, (uint8_t)record, length);
}

bool fw_store_add(fw_store *store, const void *octets, uint16_t length)
{
    if (!store->writing.open) {
        return false;
    }
    store->writing.crc = fw_store_crc(store->writing.crc, octets, length);
    append(store, octets, length);
    return !store->writing.failed;
}

bool fw_store_end(fw_store *store)
{
    if (!store->writing.open) {
        return false;
    }
    append_number(store, ~store->writing.crc);
    if (!close_record(store)) {
        store->end = fw_store_limit(store); /* nothing is written behind what refused */
        return false;
    }
    store->end = store->writing.start + size_of(store, store->writing.length);
    fw_store_index(store, store->writing.name, store->writing.start, store->writing.length);
    return true;
}

/* A second time in the other half, if this one refuses: a unit that was torn unnoticed must not stop the ECU. */
static bool put(fw_store *store, uint8_t name, const void *octets, uint16_t length)
{
    for (uint8_t tries = 0; tries < 2; tries++) {
        if (!begin(store, name, length)) {
            return false;
        }
        (void)fw_store_add(store, octets, length);
        if (fw_store_end(store)) {
            return true;
        }
    }
    return false;
}

bool fw_store_put(fw_store *store, fw_record record, const void *octets, uint16_t length)
{
    return put(store, (uint8_t)record, octets, length);
}

bool fw_store_delete(fw_store *store, fw_record record)
{
    return !fw_store_has(store, record) || put(store, (uint8_t)record | FW_STORE_DELETION, "", 0);
}

bool fw_store_get(const fw_store *store, fw_record record, uint16_t offset, void *octets, uint16_t length)
{
    if (!fw_store_has(store, record) || (uint32_t)offset + length > store->length[record]) {
        return false;
    }
    fw_port_read(store->port, FW_AREA_STATE, store->offset[record] + offset, octets, length);
    return true;
}
