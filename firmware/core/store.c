/* Small records that outlive power (twin of uptane/shell/files.py): writing them, and the change of halves.
 *
 * What holds: nothing that counts is ever erased or written over; the half being copied into does not count. Flash that
 * refuses a write is not written there again: the next record begins the other half. Finding records is store_scan.c's.
 */
#include "store_log.h"

#include <string.h>

/* ------------------------------------------------------------------------------------------ one record's octets */

static void append(fw_store *store, const void *octets, uint32_t length)
{
    store->writing.crc = fw_store_crc(store->writing.crc, octets, length);
    fw_pen_write(store->port, &store->writing.pen, octets, length);
}

/* Begin a record's frame at `at`. */
static void open_record(fw_store *store, uint32_t at, uint8_t name, uint16_t length)
{
    uint8_t prefix[FW_STORE_PREFIX];
    fw_store_prefix(prefix, at, name, length);
    memset(&store->writing, 0, sizeof store->writing);
    store->writing.open = true;
    store->writing.name = name;
    store->writing.length = length;
    store->writing.start = at;
    store->writing.crc = fw_store_crc(FW_STORE_CRC, prefix, FW_STORE_CRC_FROM);
    store->writing.pen.at = at;
    store->writing.pen.area = FW_AREA_STATE;
    fw_pen_write(store->port, &store->writing.pen, prefix, sizeof prefix);
}

/* End it, its CRC having been written: its mark. */
static bool mark_record(fw_store *store)
{
    static const uint8_t mark[FW_PEN_MAX]; /* zeros */
    fw_pen *pen = &store->writing.pen;
    store->writing.open = false;
    return fw_pen_flush(store->port, pen) &&
           fw_port_write(store->port, FW_AREA_STATE, pen->at, mark, fw_port_geometry(store->port)->unit);
}

static bool close_record(fw_store *store)
{
    uint8_t crc[FW_STORE_CRC_LENGTH];
    fw_put_u32(crc, ~store->writing.crc);
    fw_pen_write(store->port, &store->writing.pen, crc, sizeof crc);
    return mark_record(store);
}

/* ------------------------------------------------------------------------------------------------ the two halves */

/* Its CRC is copied as it is: what has rotted stays known as rotten. */
bool fw_store_copy(fw_store *store, fw_record record, uint32_t at)
{
    uint8_t octet;
    uint32_t from = store->offset[record];
    uint32_t end = from + store->length[record] + FW_STORE_CRC_LENGTH;
    open_record(store, at, (uint8_t)record, store->length[record]);
    for (; from < end; from++) {
        fw_port_read(store->port, FW_AREA_STATE, from, &octet, 1);
        fw_pen_write(store->port, &store->writing.pen, &octet, 1);
    }
    return mark_record(store);
}

bool fw_store_head(fw_store *store, uint32_t base, uint32_t sequence)
{
    uint8_t octets[4];
    fw_put_u32(octets, sequence);
    for (uint8_t copies = 0; copies < FW_STORE_HEADS; copies++) {
        open_record(store, base, FW_STORE_HEAD, sizeof octets);
        append(store, octets, sizeof octets);
        if (!close_record(store)) {
            return false;
        }
        base += fw_store_size(store, sizeof octets);
    }
    return true;
}

bool fw_store_erase(fw_store *store, uint32_t base)
{
    uint32_t page = fw_port_geometry(store->port)->page;
    for (uint32_t end = base + fw_store_half(store); base < end; base += page) {
        if (!fw_port_erase(store->port, FW_AREA_STATE, base)) {
            return false;
        }
        (void)fw_port_breathe(store->port);
    }
    return true;
}

/* Go on in the other half, with the newest of every record. False: this half stands. */
static bool change_halves(fw_store *store)
{
    uint32_t other = fw_store_half(store) - store->base;
    uint32_t at = other + FW_STORE_HEADS * fw_store_size(store, 4);
    bool done = fw_store_erase(store, other);
    for (uint8_t name = 0; name < FW_RECORDS && done; name++) {
        if (store->offset[name] != 0) {
            done = fw_store_copy(store, (fw_record)name, at);
            at += fw_store_size(store, store->length[name]);
        }
    }
    if (done && fw_store_head(store, other, store->sequence + 1)) {
        uint16_t damaged = store->damaged;
        store->sequence++;
        fw_store_scan(store, other);
        store->damaged |= damaged; /* the copies are whole, but of older records: their owners have to hear of it */
        return true;
    }
    return false;
}

/* Where more than half a half is in use, it would be no gain, and wear at every power-up. What is damaged stays where
 * it is until its owner has heard of it: in the other half nothing would tell. */
void fw_store_tidy(fw_store *store)
{
    if (store->damaged != 0) {
        return;
    }
    uint32_t used = 0;
    for (uint8_t name = 0; name < FW_RECORDS; name++) {
        used += fw_store_size(store, store->length[name]);
    }
    if (store->limit - store->end < fw_store_half(store) / 4 && used < fw_store_half(store) / 2) {
        (void)change_halves(store);
    }
}

/* -------------------------------------------------------------------------------------------------------------
 * records */

static bool begin(fw_store *store, uint8_t name, uint16_t length)
{
    uint32_t size = fw_store_size(store, length);
    if (store->writing.open && store->writing.pen.at > store->writing.start) {
        store->end = store->writing.start + fw_store_size(store, store->writing.length); /* given up in its middle */
    }
    store->writing.open = false;
    if (store->limit - store->end < size && (!change_halves(store) || store->limit - store->end < size)) {
        return false;
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
    if (store->writing.open) {
        append(store, octets, length);
    }
    return store->writing.open && !store->writing.pen.failed;
}

bool fw_store_end(fw_store *store)
{
    if (!store->writing.open) {
        return false;
    }
    if (!close_record(store)) {
        store->end = store->limit; /* nothing is written behind what refused */
        return false;
    }
    store->end = store->writing.start + fw_store_size(store, store->writing.length);
    fw_store_index(store, store->writing.name, store->writing.start, store->writing.length);
    return true;
}

/* A second time in the other half, if this one refuses: a unit that was torn unnoticed must not stop the ECU. */
static bool put(fw_store *store, uint8_t name, const void *octets, uint16_t length)
{
    for (uint8_t tries = 0; tries < 2 && begin(store, name, length); tries++) {
        append(store, octets, length);
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
