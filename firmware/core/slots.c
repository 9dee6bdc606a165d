/* Writing and reading the slots (twin of secondary/shell/slots.py).
 *
 * The record of a slot: format 1 and three zeros, octets (4, little-endian), tag (32).
 */
#include "state.h"

#include "ecu.h"

#include <string.h>

#define FORMAT 1u
#define RECORD offsetof(fw_progress, present)
#define PIECE 128u   /* read at once: on the stack */
#define BREATH 1024u /* hashed between two breaths: 2 ms on a small controller */

_Static_assert(offsetof(fw_progress, next_offset) == 4 && RECORD == 8 + FW_SHA256_LENGTH, "the record is as described");

static fw_record record_of(uint8_t slot)
{
    return slot == 0 ? FW_RECORD_SLOT_0 : FW_RECORD_SLOT_1;
}

static fw_progress *other(fw *ecu)
{
    return &ecu->progress[fw_other(&ecu->installation)];
}

static uint32_t page_of(const fw *ecu)
{
    return fw_port_geometry(ecu->port)->page;
}

static uint32_t step(const fw *ecu)
{
    return page_of(ecu) > FW_PROGRESS_STEP ? page_of(ecu) : FW_PROGRESS_STEP;
}

static void load(fw *ecu, uint8_t slot)
{
    fw_progress *progress = &ecu->progress[slot];
    progress->present = fw_store_get(&ecu->store, record_of(slot), 0, progress, RECORD) && progress->format == FORMAT &&
                        progress->next_offset <= fw_port_geometry(ecu->port)->slot_size;
    if (!progress->present) {
        memset(progress, 0, sizeof *progress); /* it has to be erased first */
    }
}

/* The end of the download into the other slot, as its progress tells. */
static void turn(fw *ecu)
{
    uint32_t octets = other(ecu)->next_offset;
    memset(&ecu->download, 0, sizeof ecu->download);
    ecu->download.recorded = octets;
    ecu->download.suspect = octets + step(ecu) + FW_BLOCK_MAX; /* at most, when power failed or flash refused */
    ecu->download.pen.at = octets;
    ecu->download.pen.area = fw_other(&ecu->installation);
}

void fw_slots_load(fw *ecu)
{
    load(ecu, 0);
    load(ecu, 1);
    turn(ecu);
}

static bool store_progress(fw *ecu)
{
    fw_progress *progress = other(ecu);
    progress->format = FORMAT;
    if (!fw_store_put(&ecu->store, record_of(fw_other(&ecu->installation)), progress, RECORD)) {
        return false;
    }
    ecu->download.recorded = progress->next_offset;
    return true;
}

void fw_slots_forget(fw *ecu)
{
    memset(other(ecu), 0, sizeof *other(ecu));
    turn(ecu);
}

fw_check fw_slots_resume(fw *ecu)
{
    fw_progress *progress = other(ecu);
    if (ecu->download.going_on || ecu->download.suspect == 0) {
        return FW_OK;
    }
    if (progress->resumed >= FW_RESUMES_MAX) {
        bool gone = fw_store_delete(&ecu->store, record_of(fw_other(&ecu->installation)));
        fw_slots_forget(ecu);
        return gone ? FW_LINK_SEQUENCE : FW_STORAGE;
    }
    progress->resumed++;
    ecu->download.going_on = store_progress(ecu);
    return ecu->download.going_on ? FW_OK : FW_STORAGE;
}

bool fw_slots_erase(fw *ecu, const uint8_t tag[FW_SHA256_LENGTH])
{
    uint8_t slot = fw_other(&ecu->installation);
    fw_slots_forget(ecu);
    bool done = fw_store_delete(&ecu->store, record_of(slot));
    for (uint32_t at = 0; done && at < fw_port_geometry(ecu->port)->slot_size; at += page_of(ecu)) {
        done = fw_port_erase(ecu->port, (fw_area)slot, at);
        fw_breathe(ecu);
    }
    memcpy(other(ecu)->tag, tag, FW_SHA256_LENGTH);
    ecu->download.suspect = 0;
    other(ecu)->present = done && store_progress(ecu);
    return other(ecu)->present;
}

/* Before the first octet of a page: there is nothing in it. */
static bool clear_page(fw *ecu, uint32_t at)
{
    fw_area slot = (fw_area)fw_other(&ecu->installation);
    if (at >= ecu->download.suspect && fw_is_blank(ecu->port, slot, at, at + page_of(ecu))) {
        return true;
    }
    bool erased = fw_port_erase(ecu->port, slot, at);
    fw_breathe(ecu);
    return erased;
}

/* Flash refused: the download goes on where its page begins, which is erased before. */
static bool turn_back(fw *ecu)
{
    uint32_t recorded = ecu->download.recorded;
    other(ecu)->next_offset &= ~(page_of(ecu) - 1);
    turn(ecu);
    ecu->download.recorded = recorded;
    return false;
}

bool fw_slots_write(fw *ecu, const uint8_t *octets, uint16_t length)
{
    fw_progress *progress = other(ecu);
    if (ecu->download.pen.area != fw_other(&ecu->installation)) {
        turn(ecu);
    }
    while (length > 0) {
        uint32_t in_page = progress->next_offset & (page_of(ecu) - 1), left = page_of(ecu) - in_page;
        uint16_t part = left < length ? (uint16_t)left : length;
        if (in_page == 0 && !clear_page(ecu, progress->next_offset)) {
            return turn_back(ecu);
        }
        fw_pen_write(ecu->port, &ecu->download.pen, octets, part);
        if (ecu->download.pen.failed) {
            return turn_back(ecu);
        }
        progress->next_offset += part;
        octets += part;
        length = (uint16_t)(length - part);
        if ((progress->next_offset & (step(ecu) - 1)) == 0) {
            (void)store_progress(ecu); /* if this one is not recorded, the next one is, or the end says so */
        }
    }
    return true;
}

bool fw_slots_sync(fw *ecu)
{
    if (ecu->download.pen.area != fw_other(&ecu->installation)) {
        turn(ecu);
    }
    if (!fw_pen_flush(ecu->port, &ecu->download.pen)) {
        return turn_back(ecu);
    }
    return !other(ecu)->present || ecu->download.recorded == other(ecu)->next_offset || store_progress(ecu);
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
