/* Writing and reading the slots (twin of secondary/shell/slots.py).
 *
 * The record of a slot, numbers big-endian: format 1, octets (4), tag (32).
 */
#include "state.h"

#include "ecu.h"
#include "octets.h"

#include <string.h>

#define FORMAT 1u
#define RECORD (1u + 4u + FW_SHA256_LENGTH)
#define PIECE 128u    /* read at once: on the stack */
#define BREATH 1024u  /* hashed between two breaths: 2 ms on a small controller */

static fw_record record_of(uint8_t slot)
{
    return slot == 0 ? FW_RECORD_SLOT_0 : FW_RECORD_SLOT_1;
}

static uint32_t step(const fw *ecu)
{
    uint32_t page = fw_port_geometry(ecu->port)->page;
    return page > FW_PROGRESS_STEP ? page : FW_PROGRESS_STEP;
}

static void load(fw *ecu, uint8_t slot)
{
    uint8_t octets[RECORD];
    fw_progress *progress = &ecu->progress[slot];
    if (!fw_store_get(&ecu->store, record_of(slot), 0, octets, RECORD) || octets[0] != FORMAT ||
        fw_get_u32(octets + 1) > fw_port_geometry(ecu->port)->slot_size) {
        return; /* it has to be erased first */
    }
    progress->present = true;
    progress->next_offset = fw_get_u32(octets + 1);
    memcpy(progress->tag, octets + 5, FW_SHA256_LENGTH);
}

/* The end of the download into the other slot, as its progress tells. */
static void turn(fw *ecu)
{
    uint8_t slot = fw_other(&ecu->installation);
    uint32_t octets = ecu->progress[slot].next_offset;
    memset(&ecu->download, 0, sizeof ecu->download);
    ecu->download.slot = slot;
    ecu->download.at = octets;
    ecu->download.recorded = octets;
    ecu->download.suspect = octets + step(ecu) + FW_BLOCK_MAX; /* at most, when power failed before the next record */
}

void fw_slots_load(fw *ecu)
{
    load(ecu, 0);
    load(ecu, 1);
    turn(ecu);
}

static bool store_progress(fw *ecu, uint8_t slot, uint32_t octets)
{
    uint8_t record[RECORD] = {FORMAT};
    fw_put_u32(record + 1, octets);
    memcpy(record + 5, ecu->progress[slot].tag, FW_SHA256_LENGTH);
    if (!fw_store_put(&ecu->store, record_of(slot), record, RECORD)) {
        return false;
    }
    ecu->download.recorded = octets;
    return true;
}

bool fw_slots_erase(fw *ecu, const uint8_t tag[FW_SHA256_LENGTH])
{
    const fw_geometry *geometry = fw_port_geometry(ecu->port);
    uint8_t slot = fw_other(&ecu->installation);
    fw_slots_forget(ecu);
    if (!fw_store_delete(&ecu->store, record_of(slot))) {
        return false;
    }
    for (uint32_t offset = 0; offset < geometry->slot_size; offset += geometry->page) {
        if (!fw_port_erase(ecu->port, (fw_area)slot, offset)) {
            return false;
        }
        fw_breathe(ecu);
    }
    memcpy(ecu->progress[slot].tag, tag, FW_SHA256_LENGTH);
    return store_progress(ecu, slot, 0) && (ecu->progress[slot].present = true);
}

void fw_slots_forget(fw *ecu)
{
    memset(&ecu->progress[fw_other(&ecu->installation)], 0, sizeof ecu->progress[0]);
    memset(&ecu->download, 0, sizeof ecu->download);
    ecu->download.slot = fw_other(&ecu->installation);
}

static bool is_blank(fw *ecu, uint8_t slot, uint32_t offset, uint32_t length)
{
    uint8_t octets[FW_STORE_CHUNK];
    for (; length > 0; offset += sizeof octets, length -= (uint32_t)sizeof octets) {
        fw_port_read(ecu->port, (fw_area)slot, offset, octets, sizeof octets);
        for (uint32_t i = 0; i < sizeof octets; i++) {
            if (octets[i] != 0xFF) {
                return false;
            }
        }
    }
    return true;
}

/* Before the first unit of a page: there is nothing in it. */
static bool clear_page(fw *ecu, uint8_t slot, uint32_t offset)
{
    uint32_t page = fw_port_geometry(ecu->port)->page;
    if (offset >= ecu->download.suspect && is_blank(ecu, slot, offset, page)) {
        return true;
    }
    bool erased = fw_port_erase(ecu->port, (fw_area)slot, offset);
    fw_breathe(ecu);
    return erased;
}

/* Program whole units within one page. */
static bool program(fw *ecu, const uint8_t *octets, uint32_t length)
{
    fw_download *end = &ecu->download;
    uint8_t slot = fw_other(&ecu->installation);
    uint32_t page = fw_port_geometry(ecu->port)->page;
    bool done = (end->at & (page - 1)) != 0 || clear_page(ecu, slot, end->at);
    if (done && fw_port_write(ecu->port, (fw_area)slot, end->at, octets, length)) {
        end->at += length;
        return true;
    }
    end->at &= ~(page - 1);
    end->suspect = end->suspect > end->at ? end->suspect : end->at + 1;
    end->staged = 0;
    ecu->progress[slot].next_offset = end->at;
    return false;
}

/* The longest run of whole units of `length` octets that stays within the page. */
static uint32_t run_of(const fw *ecu, uint32_t length)
{
    const fw_geometry *geometry = fw_port_geometry(ecu->port);
    uint32_t left = geometry->page - (ecu->download.at & (geometry->page - 1));
    length &= ~(geometry->unit - 1);
    return length < left ? length : left;
}

static bool append(fw *ecu, const uint8_t *octets, uint32_t length)
{
    fw_download *end = &ecu->download;
    uint32_t unit = fw_port_geometry(ecu->port)->unit;
    while (length > 0) {
        uint32_t part = end->staged == 0 ? run_of(ecu, length) : 0;
        if (part > 0) {
            if (!program(ecu, octets, part)) {
                return false;
            }
        } else {
            part = unit - end->staged < length ? unit - end->staged : length;
            memcpy(end->octets + end->staged, octets, part);
            end->staged = (uint8_t)(end->staged + part);
            if (end->staged == unit) {
                if (!program(ecu, end->octets, unit)) {
                    return false;
                }
                end->staged = 0;
            }
        }
        octets += part;
        length -= part;
    }
    return true;
}

bool fw_slots_write(fw *ecu, const uint8_t *octets, uint16_t length)
{
    uint8_t slot = fw_other(&ecu->installation);
    if (ecu->download.slot != slot) {
        turn(ecu);
    }
    uint32_t passed = ecu->download.at & ~(step(ecu) - 1);
    if (!append(ecu, octets, length)) {
        return false;
    }
    ecu->progress[slot].next_offset += length;
    if ((ecu->download.at & ~(step(ecu) - 1)) != passed) {
        /* If this one is not recorded, the next one is, or the end says so. */
        (void)store_progress(ecu, slot, ecu->download.at & ~(step(ecu) - 1));
    }
    return true;
}

bool fw_slots_sync(fw *ecu)
{
    fw_download *end = &ecu->download;
    uint8_t slot = fw_other(&ecu->installation);
    uint32_t unit = fw_port_geometry(ecu->port)->unit;
    if (end->slot != slot) {
        turn(ecu);
    }
    if (end->staged > 0) {
        memset(end->octets + end->staged, 0xFF, unit - end->staged);
        if (!program(ecu, end->octets, unit)) {
            return false;
        }
        end->staged = 0;
    }
    const fw_progress *progress = &ecu->progress[slot];
    return !progress->present || end->recorded == progress->next_offset ||
           store_progress(ecu, slot, progress->next_offset);
}

void fw_slots_hash(fw *ecu, uint8_t slot, uint32_t length, bool with_sha512, fw_content *content)
{
    uint32_t size = fw_port_geometry(ecu->port)->slot_size;
    uint8_t octets[PIECE];
    fw_sha256 sha256;
    fw_sha512 sha512;
    content->length = length < size ? length : size;
    content->has_sha512 = with_sha512;
    fw_sha256_start(&sha256);
    fw_sha512_start(&sha512);
    for (uint32_t at = 0; at < content->length; at += PIECE) {
        uint32_t part = content->length - at < PIECE ? content->length - at : PIECE;
        fw_port_read(ecu->port, (fw_area)slot, at, octets, part);
        fw_sha256_add(&sha256, octets, part);
        if (with_sha512) {
            fw_sha512_add(&sha512, octets, part);
        }
        if (at % BREATH == 0) {
            fw_breathe(ecu);
        }
    }
    fw_sha256_end(&sha256, content->sha256);
    if (with_sha512) {
        fw_sha512_end(&sha512, content->sha512);
    }
}
