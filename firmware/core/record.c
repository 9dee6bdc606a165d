/* An installation as octets, outside the slots, and when two are the same (twin of uptane/verify/record.py).
 *
 * Format 1, numbers big-endian: format, state, outcome, home, running, last phase (0xFF: none), flags (1: a bundle; 2,
 * 4: the image of slot 0, 1), how many were rolled back; 4 octets each of Targets version, released counter, boots,
 * erases and the version they were under; bundle; coordinator as scheme and 2 octets of length and the key; each image
 * known as length and text of its filename, length, release counter, SHA-256; each rolled back as bundle and version.
 */
#include "installation.h"
#include "octets.h"

#include <string.h>

#define FORMAT 1u
#define HAS_BUNDLE 1u
#define KNOWS_0 2u
#define KNOWS_1 4u

/* One cursor for both ways, so that the layout is written down once. When it writes, nothing else is changed. */
typedef struct {
    uint8_t *out;
    const uint8_t *in; /* NULL: writing */
    uint16_t at, length;
    bool short_of;
} cursor;

static void field(cursor *to, void *octets, uint16_t length)
{
    if (length > to->length - to->at) {
        to->short_of = true;
        return;
    }
    if (to->in != NULL) {
        memcpy(octets, to->in + to->at, length);
    } else {
        memcpy(to->out + to->at, octets, length);
    }
    to->at = (uint16_t)(to->at + length);
}

static void number(cursor *to, uint32_t *value)
{
    uint8_t octets[4];
    fw_put_u32(octets, *value);
    field(to, octets, sizeof octets);
    if (to->in != NULL) {
        *value = fw_get_u32(octets);
    }
}

/* The lengths that keys have, by scheme. */
static uint16_t key_length(uint8_t scheme)
{
    static const uint16_t LENGTHS[] = {32, 33, 1312, 1952, 1344, 1984};
    return scheme < sizeof LENGTHS / sizeof LENGTHS[0] ? LENGTHS[scheme] : 0;
}

static void key_field(cursor *to, fw_key *key)
{
    uint16_t length = key_length(key->scheme);
    uint8_t octets[2] = {(uint8_t)(length >> 8), (uint8_t)length};
    field(to, &key->scheme, 1);
    field(to, octets, sizeof octets);
    length = (uint16_t)(octets[0] << 8 | octets[1]);
    if (length != key_length(key->scheme) || length > FW_KEY_MAX) {
        to->short_of = true;
        return;
    }
    field(to, key->octets, length);
}

static void image_field(cursor *to, fw_image *image)
{
    field(to, &image->filename.length, 1);
    if (image->filename.length == 0 || image->filename.length > FW_FILENAME_MAX) {
        to->short_of = true;
        return;
    }
    field(to, image->filename.text, image->filename.length);
    number(to, &image->length);
    number(to, &image->release_counter);
    field(to, image->sha256, FW_SHA256_LENGTH);
}

static void fields(cursor *to, fw_installation *all)
{
    uint8_t format = FORMAT;
    uint8_t flags = (uint8_t)((all->has_bundle ? HAS_BUNDLE : 0) | (all->known[0] ? KNOWS_0 : 0) |
                              (all->known[1] ? KNOWS_1 : 0));
    field(to, &format, 1);
    field(to, &all->state, 1);
    field(to, &all->outcome, 1);
    field(to, &all->home, 1);
    field(to, &all->running, 1);
    field(to, &all->last_phase, 1);
    field(to, &flags, 1);
    field(to, &all->rolled_back_count, 1);
    if (to->in != NULL) {
        all->has_bundle = (flags & HAS_BUNDLE) != 0;
        all->known[0] = (flags & KNOWS_0) != 0;
        all->known[1] = (flags & KNOWS_1) != 0;
    }
    to->short_of = to->short_of || format != FORMAT || all->rolled_back_count > FW_ROLLED_BACK_MAX;
    number(to, &all->targets_version);
    number(to, &all->released_counter);
    number(to, &all->boots);
    number(to, &all->erases);
    number(to, &all->erases_under);
    if (all->has_bundle) {
        field(to, all->bundle, FW_BUNDLE_LENGTH);
    }
    key_field(to, &all->coordinator);
    for (uint8_t slot = 0; slot < 2; slot++) {
        if (all->known[slot]) {
            image_field(to, &all->images[slot]);
        }
    }
    for (uint8_t i = 0; i < all->rolled_back_count && !to->short_of; i++) {
        field(to, all->rolled_back[i].bundle, FW_BUNDLE_LENGTH);
        number(to, &all->rolled_back[i].targets_version);
    }
}

/* What every record written by installation.c fulfils. */
static bool is_whole(const fw_installation *all)
{
    if (all->state > FW_RELEASED || all->outcome > FW_UNBOOTABLE || all->home > 1 || all->running > 1 ||
        (all->last_phase > FW_RELEASE && all->last_phase != FW_NO_PHASE)) {
        return false;
    }
    if (!all->known[all->home] || !all->known[all->running]) {
        return false; /* a slot that boots holds nothing known */
    }
    bool at_rest = all->state == FW_IDLE || all->state == FW_RELEASED;
    return at_rest || (all->has_bundle && all->known[fw_other(all)]);
}

bool fw_installation_load(fw_installation *installation, const uint8_t *octets, uint16_t length)
{
    cursor from = {.in = octets, .length = length};
    memset(installation, 0, sizeof *installation);
    fields(&from, installation);
    return !from.short_of && is_whole(installation);
}

uint16_t fw_installation_dump(const fw_installation *installation, uint8_t octets[FW_INSTALLATION_RECORD_MAX])
{
    cursor to = {.out = octets, .length = FW_INSTALLATION_RECORD_MAX};
    fields(&to, (fw_installation *)installation); /* which is only read */
    return to.at;
}

bool fw_same_image(const fw_image *a, const fw_image *b)
{
    return a->filename.length == b->filename.length &&
           memcmp(a->filename.text, b->filename.text, a->filename.length) == 0 && a->length == b->length &&
           a->release_counter == b->release_counter &&
           memcmp(a->sha256, b->sha256, FW_SHA256_LENGTH) == 0;
}

static bool same_key(const fw_key *a, const fw_key *b)
{
    return a->scheme == b->scheme && memcmp(a->octets, b->octets, key_length(a->scheme)) == 0;
}

bool fw_same_installation(const fw_installation *a, const fw_installation *b)
{
    size_t first = offsetof(fw_installation, rolled_back_count) + 1; /* without gaps, as are the numbers and bundle */
    size_t from = offsetof(fw_installation, targets_version);
    if (memcmp(a, b, first) != 0 || !same_key(&a->coordinator, &b->coordinator) ||
        memcmp((const uint8_t *)a + from, (const uint8_t *)b + from, 20 + FW_BUNDLE_LENGTH) != 0) {
        return false;
    }
    for (uint8_t slot = 0; slot < 2; slot++) {
        if (a->known[slot] && !fw_same_image(&a->images[slot], &b->images[slot])) {
            return false;
        }
    }
    return memcmp(a->rolled_back, b->rolled_back, a->rolled_back_count * sizeof a->rolled_back[0]) == 0;
}

_Static_assert(offsetof(fw_installation, rolled_back_count) == 8, "the octets up to here have no gaps");
_Static_assert(offsetof(fw_installation, bundle) == offsetof(fw_installation, targets_version) + 20, "nor the numbers");
_Static_assert(sizeof(fw_tried) == FW_BUNDLE_LENGTH + 4, "nor what was rolled back");
