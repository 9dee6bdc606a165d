/* Finding the newest records of the log, whatever power cuts and worn flash left of it (twin of uptane/shell/files.py).
 *
 * What holds: a record is taken whole or not at all. What a power cut broke off is passed over in silence, for whoever
 * stored it was not told that it is durable; what was durable once and is readable no more is named in `damaged`.
 */
#include "store_log.h"

#include <string.h>

typedef enum { WHOLE, BROKEN_OFF, ROTTEN, BLANK, NONE } found;

typedef struct {
    uint32_t at, size;
    uint8_t name;
    uint16_t length;
} entry;

/* CRC-32 as zlib has it, without a table: a kilobyte takes 10,000 steps, and the table would be a kilobyte too. */
uint32_t fw_store_crc(uint32_t crc, const void *octets, uint32_t length)
{
    const uint8_t *next = octets;
    while (length-- > 0) {
        crc ^= *next++;
        for (uint8_t bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return crc;
}

uint32_t fw_store_half(const fw_store *store)
{
    return fw_port_geometry(store->port)->state_size / 2;
}

uint32_t fw_store_size(const fw_store *store, uint32_t length)
{
    uint32_t unit = fw_port_geometry(store->port)->unit;
    return ((FW_STORE_PREFIX + length + FW_STORE_CRC_LENGTH + unit - 1) & ~(unit - 1)) + unit;
}

void fw_store_prefix(uint8_t prefix[FW_STORE_PREFIX], uint32_t at, uint8_t name, uint16_t length)
{
    uint8_t where[4];
    prefix[0] = name;
    prefix[1] = FW_STORE_FORMAT;
    prefix[2] = (uint8_t)(length >> 8);
    prefix[3] = (uint8_t)length;
    fw_put_u32(where, at);
    uint32_t crc = fw_store_crc(FW_STORE_CRC, where, sizeof where);
    fw_put_u32(prefix + 4, ~fw_store_crc(crc, prefix, FW_STORE_CRC_FROM));
}

void fw_store_index(fw_store *store, uint8_t name, uint32_t at, uint16_t length)
{
    bool deleted = (name & FW_STORE_DELETION) != 0;
    uint8_t record = (uint8_t)(name & ~FW_STORE_DELETION);
    if (record < FW_RECORDS) {
        store->offset[record] = deleted ? 0 : at + FW_STORE_PREFIX;
        store->length[record] = deleted ? 0 : length;
    }
}

static bool is_blank(const fw_store *store, uint32_t from, uint32_t to)
{
    return fw_is_blank(store->port, FW_AREA_STATE, from, to);
}

static bool is_crc_right(const fw_store *store, const entry *look, const uint8_t prefix[FW_STORE_PREFIX])
{
    uint8_t octets[FW_PEN_MAX], wanted[FW_STORE_CRC_LENGTH];
    uint32_t crc = fw_store_crc(FW_STORE_CRC, prefix, FW_STORE_CRC_FROM);
    uint32_t from = look->at + FW_STORE_PREFIX;
    for (uint32_t left = look->length, part; left > 0; left -= part, from += part) {
        part = left < sizeof octets ? left : (uint32_t)sizeof octets;
        fw_port_read(store->port, FW_AREA_STATE, from, octets, part);
        crc = fw_store_crc(crc, octets, part);
    }
    fw_put_u32(wanted, ~crc);
    fw_port_read(store->port, FW_AREA_STATE, from, octets, sizeof wanted);
    return memcmp(octets, wanted, sizeof wanted) == 0;
}

/* What is at `look->at`, in a half that ends at `limit`. NONE: nothing whose size could be known. */
static found inspect(const fw_store *store, entry *look, uint32_t limit)
{
    uint8_t prefix[FW_STORE_PREFIX], wanted[FW_STORE_PREFIX];
    if (limit - look->at < fw_store_size(store, 0)) {
        return is_blank(store, look->at, limit) ? BLANK : NONE;
    }
    fw_port_read(store->port, FW_AREA_STATE, look->at, prefix, sizeof prefix);
    look->name = prefix[0];
    look->length = (uint16_t)(prefix[2] << 8 | prefix[3]);
    look->size = fw_store_size(store, look->length);
    fw_store_prefix(wanted, look->at, look->name, look->length);
    if (memcmp(prefix, wanted, sizeof prefix) != 0 || look->size > limit - look->at) {
        return is_blank(store, look->at, limit) ? BLANK : NONE;
    }
    if (is_crc_right(store, look, prefix)) {
        return WHOLE;
    }
    uint32_t end = look->at + look->size;
    return is_blank(store, end - fw_port_geometry(store->port)->unit, end) ? BROKEN_OFF : ROTTEN;
}

static void mark_damaged(fw_store *store, uint8_t name)
{
    uint8_t record = (uint8_t)(name & ~FW_STORE_DELETION);
    if (record < FW_RECORDS) {
        store->damaged |= (uint16_t)(1u << record);
    }
}

static void take(fw_store *store, const entry *look, found what)
{
    if (what == WHOLE) {
        fw_store_index(store, look->name, look->at, look->length);
        uint8_t record = (uint8_t)(look->name & ~FW_STORE_DELETION);
        if (record < FW_RECORDS) {
            store->damaged &= (uint16_t)~(1u << record); /* that a newer one is whole is all that matters */
        }
    } else if (what == ROTTEN) {
        mark_damaged(store, look->name);
    }
}

/* A prefix that is none is a beginning that power broke off, with nothing behind it; or else it has rotted, and with
 * it the name. Counts must rise, so it may have been either of theirs, unless a newer one follows. */
static void lose(fw_store *store, uint32_t at, uint32_t limit)
{
    if (limit - at > FW_PEN_MAX && !is_blank(store, at + FW_PEN_MAX, limit)) {
        store->damaged |= 1u << FW_RECORDS | 1u << FW_RECORD_REPORT | 1u << FW_RECORD_NONCE;
    }
}

/* Take what a half says, over what was found before, and go on in it; `end` is where it may be written on. */
void fw_store_scan(fw_store *store, uint32_t base)
{
    uint32_t limit = base + fw_store_half(store);
    bool lost = false;
    entry look = {.at = base + FW_STORE_HEADS * fw_store_size(store, 4)};
    while (look.at < limit) {
        found what = inspect(store, &look, limit);
        if (what == BLANK) {
            break;
        }
        if (what == NONE) {
            if (!lost) {
                lose(store, look.at, limit);
            }
            lost = true;
            look.size = fw_port_geometry(store->port)->unit;
        } else {
            take(store, &look, what);
            lost = false;
        }
        look.at += look.size;
    }
    store->base = base;
    store->limit = limit;
    store->end = lost ? limit : look.at; /* behind what cannot be told, nothing is written: the other half is next */
}

/* The sequence of a half, 0 if it does not count. */
static uint32_t sequence_of(const fw_store *store, uint32_t base)
{
    entry look = {.at = base};
    for (uint8_t copies = 0; copies < FW_STORE_HEADS; copies++) {
        found what = inspect(store, &look, look.at + fw_store_size(store, 4));
        if (what == WHOLE && look.name == FW_STORE_HEAD && look.length == 4) {
            uint8_t octets[4];
            fw_port_read(store->port, FW_AREA_STATE, look.at + FW_STORE_PREFIX, octets, sizeof octets);
            return fw_get_u32(octets);
        }
        look.at += fw_store_size(store, 4);
    }
    return 0;
}

/* What only the half before still says was lost from this one: it is copied while it is there. */
static void rescue(fw_store *store)
{
    for (uint8_t name = 0; name < FW_RECORDS; name++) {
        uint32_t size = fw_store_size(store, store->length[name]);
        if (store->offset[name] == 0 || (store->offset[name] >= store->base && store->offset[name] < store->limit)) {
            continue;
        }
        mark_damaged(store, name);
        bool fits = store->limit - store->end >= size; /* else it would not outlast the next change of halves */
        bool copied = fits && fw_store_copy(store, (fw_record)name, store->end);
        fw_store_index(store, copied ? name : name | FW_STORE_DELETION, store->end, store->length[name]);
        if (fits) {
            store->end = copied ? store->end + size : store->limit; /* nothing is written behind what refused */
        }
    }
}

/* The first half, empty; unless there are records: an area whose heads have all rotted is not a new one. */
static bool make_ready(fw_store *store)
{
    fw_store_scan(store, fw_store_half(store));
    fw_store_scan(store, 0);
    for (uint8_t name = 0; name < FW_RECORDS; name++) {
        if (store->offset[name] != 0) {
            return false;
        }
    }
    store->damaged = 0; /* what lay there before was none of ours */
    store->sequence = 1;
    store->end = FW_STORE_HEADS * fw_store_size(store, 4);
    return fw_store_erase(store, 0) && fw_store_head(store, 0, store->sequence);
}

bool fw_store_open(fw_store *store, fw_port *port)
{
    memset(store, 0, sizeof *store);
    store->port = port;
    uint32_t half = fw_store_half(store), first = sequence_of(store, 0), second = sequence_of(store, half);
    bool is_second = second > first;
    if (first == 0 && second == 0) {
        return make_ready(store);
    }
    store->sequence = is_second ? second : first;
    if (first != 0 && second != 0) {
        fw_store_scan(store, is_second ? 0 : half);
        store->damaged = 0;
    }
    fw_store_scan(store, is_second ? half : 0);
    rescue(store);
    return true;
}
