/* An installation as a durable record, outside the slots, and when two are the same (twin of uptane/verify/record.py).
 *
 * The record is the structure's own octets: format, state, outcome, home, running and last phase (0xFF: none), then as
 * one octet each whether there is a bundle and what slot 0 and 1 hold, how many were rolled back, two zeros; 4 octets
 * each of Targets version, released counter, boots, erases and the version they were under; bundle (32); coordinator
 * (its scheme, then FW_KEY_MAX octets, and one zero); the image of each slot: length of its filename and its text
 * (128), three zeros, length (4), release counter (4), SHA-256; then as many bundles and Targets versions as were
 * rolled back. Numbers are little-endian, as on all the controllers this is for; a port to another one converts them
 * here.
 */
#include "installation.h"

#include <string.h>

#define PAIRS offsetof(fw_installation, rolled_back)

_Static_assert(offsetof(fw_installation, rolled_back_count) == 9, "the octets above describe the record");
_Static_assert(offsetof(fw_installation, targets_version) == 12, "the octets above describe the record");
_Static_assert(offsetof(fw_installation, bundle) == 32, "the octets above describe the record");
_Static_assert(offsetof(fw_installation, coordinator) == 64, "the octets above describe the record");
_Static_assert(offsetof(fw_image, length) == FW_FILENAME_MAX + 4, "the octets above describe the record");
_Static_assert(sizeof(fw_image) == FW_FILENAME_MAX + 12 + FW_SHA256_LENGTH, "the octets above describe the record");
_Static_assert(sizeof(fw_tried) == FW_BUNDLE_LENGTH + 4, "the octets above describe the record");

static uint16_t length_of(const fw_installation *installation)
{
    return (uint16_t)(PAIRS + installation->rolled_back_count * sizeof(fw_tried));
}

bool fw_installation_store(const fw_installation *installation, fw_store *store)
{
    return fw_store_put(store, FW_RECORD_INSTALLATION, installation, length_of(installation));
}

static bool is_image(const fw_installation *all, uint8_t slot)
{
    uint8_t length = all->images[slot].filename.length;
    return !all->known[slot] || (length > 0 && length <= FW_FILENAME_MAX);
}

/* What every record written by installation.c fulfils. */
static bool is_whole(const fw_installation *all)
{
    bool at_rest = all->state == FW_IDLE || all->state == FW_RELEASED;
    return all->format == FW_INSTALLATION_FORMAT && all->state <= FW_RELEASED && all->outcome <= FW_UNBOOTABLE &&
           all->home <= 1 && all->running <= 1 && (all->last_phase <= FW_RELEASE || all->last_phase == FW_NO_PHASE) &&
           is_image(all, 0) && is_image(all, 1) && all->known[all->home] &&
           all->known[all->running] && /* a slot that boots holds what is known */
           (at_rest || (all->has_bundle && all->known[fw_other(all)]));
}

bool fw_installation_load(fw_installation *installation, const fw_store *store)
{
    memset(installation, 0, sizeof *installation);
    return fw_store_get(store, FW_RECORD_INSTALLATION, 0, installation, PAIRS) &&
           installation->rolled_back_count <= FW_ROLLED_BACK_MAX &&
           fw_store_get(store, FW_RECORD_INSTALLATION, 0, installation, length_of(installation)) &&
           is_whole(installation);
}

bool fw_same_installation(const fw_installation *a, const fw_installation *b)
{
    return memcmp(a, b, length_of(a)) == 0; /* which holds how many there are */
}

bool fw_same_image(const fw_image *a, const fw_image *b)
{
    return a->filename.length == b->filename.length &&
           memcmp(a->filename.text, b->filename.text, a->filename.length) == 0 && a->length == b->length &&
           a->release_counter == b->release_counter && memcmp(a->sha256, b->sha256, FW_SHA256_LENGTH) == 0;
}
