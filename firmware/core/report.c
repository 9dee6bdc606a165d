/* What this ECU says of itself, encoded and signed (twin of uptane/codec/report_rows.py, secondary/report.py's
 * _present).
 *
 * One walk over the report's parts writes it, or hashes what it says: counters and the low bits of counts left out.
 */
#include <string.h>

#include "fw_crypto.h"
#include "state.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are taken from memory as machines have them that begin with the lowest octet"
#endif

#define SIGNATURE_LENGTH 64u
#define HEAD_LENGTH (2u + FW_KEY_ID_LENGTH + 1u + SIGNATURE_LENGTH) /* one signature, before the payload's length */
#define SHORT_MAX 127u
#define TAG_REPORT 0x84u
/* What a report says at its longest: three octets up to its level; three names, each behind one; counter, versions,
 * the released counter and the image's two numbers; state and outcome; bundle and hash; the filename behind two octets;
 * two times; refusals of six octets behind their quantity. */
#define PAYLOAD_MAX                                                                                                    \
    (3u + 3u * (1u + FW_NAME_MAX) + 6u * 4u + 2u + FW_BUNDLE_LENGTH + FW_SHA256_LENGTH + 2u + FW_FILENAME_MAX +        \
     2u * 8u + 2u + FW_REFUSAL_KINDS_MAX * 6u)
_Static_assert(HEAD_LENGTH + 3u + PAYLOAD_MAX == FW_REPORT_MAX, "a report is of another length");

#define HAS_BUNDLE 0x40u
#define LEVEL 1u

/* Where a report goes: octets, or a hash if there are none. */
typedef struct {
    uint8_t *octets;
    uint16_t length;
    fw_sha256 *hash;
} sink;

static void put(sink *to, const void *octets, size_t length)
{
    if (to->octets != NULL) {
        memcpy(to->octets + to->length, octets, length);
    } else {
        fw_sha256_add(to->hash, octets, length);
    }
    to->length = (uint16_t)(to->length + length);
}

/* A number of 1, 4 or 8 octets as it lies in memory, the lowest octet first. */
static void put_number(sink *to, const void *number, uint8_t size)
{
    while (size-- > 0) {
        put(to, (const uint8_t *)number + size, 1);
    }
}

static void put_length(sink *to, uint16_t length)
{
    if (length > SHORT_MAX) {
        const uint8_t width = length > 0xFFu ? 0x82u : 0x81u;
        put(to, &width, 1);
    }
    put_number(to, &length, length > 0xFFu ? 2 : 1);
}

/* Refusals ascend by code; of a count that only hashes, no more than its power of two is told. */
static void put_refusals(sink *to, const fw_refusals *refusals)
{
    const uint8_t quantity[] = {1, refusals->kinds};
    uint16_t before = 0;
    put(to, quantity, sizeof quantity);
    for (uint8_t done = 0; done < refusals->kinds; done++) {
        uint8_t next = FW_REFUSAL_KINDS_MAX;
        for (uint8_t i = 0; i < refusals->kinds; i++) {
            bool is_ahead = refusals->of[i].check > before;
            if (is_ahead && (next == FW_REFUSAL_KINDS_MAX || refusals->of[i].check < refusals->of[next].check)) {
                next = i;
            }
        }
        if (next == FW_REFUSAL_KINDS_MAX) {
            return; /* not so: every check is there once */
        }
        before = refusals->of[next].check;
        uint32_t count = refusals->of[next].count;
        if (to->octets == NULL) {
            uint8_t bits = 0;
            for (; count != 0; count >>= 1) {
                bits++;
            }
            count = bits;
        }
        put_number(to, &before, sizeof before);
        put_number(to, &count, sizeof count);
    }
}

/* At rest the version says which Targets are too old to be taken any more; else which ones are acted on. */
static uint32_t targets_version(const fw *ecu)
{
    const fw_installation *installation = &ecu->installation;
    bool at_rest = installation->state == FW_IDLE || installation->state == FW_RELEASED;
    uint32_t held = ecu->held.targets.present ? ecu->held.targets.version : 0;
    return at_rest && held > installation->targets_version ? held : installation->targets_version;
}

/* What a report says of state that is not where it says it. */
typedef struct {
    uint32_t counter, targets_version;
} numbers;

enum { OF_FACTS, OF_ECU, OF_IMAGE, OF_NUMBERS, BASES };
enum { TEXT = 0, OCTETS = 32, OCTETS_IF_BUNDLE = 33 }; /* any other size: a number of so many octets */

/* The parts of a report behind its level, in the schema's order. */
static const struct {
    uint8_t base, size;
    uint16_t offset;
} PARTS[] = {
    {OF_FACTS, TEXT, offsetof(fw_facts, vehicle)},
    {OF_FACTS, TEXT, offsetof(fw_facts, ecu)},
    {OF_FACTS, TEXT, offsetof(fw_facts, hardware)},
    {OF_NUMBERS, 4, offsetof(numbers, counter)},
    {OF_ECU, 1, offsetof(fw, installation.state)},
    {OF_ECU, 1, offsetof(fw, installation.outcome)},
    {OF_ECU, OCTETS_IF_BUNDLE, offsetof(fw, installation.bundle)},
    {OF_NUMBERS, 4, offsetof(numbers, targets_version)},
    {OF_ECU, 4, offsetof(fw, held.root_version)},
    {OF_ECU, 4, offsetof(fw, installation.released_counter)},
    {OF_IMAGE, TEXT, offsetof(fw_image, filename)},
    {OF_IMAGE, 4, offsetof(fw_image, length)},
    {OF_IMAGE, OCTETS, offsetof(fw_image, sha256)},
    {OF_IMAGE, 4, offsetof(fw_image, release_counter)},
    {OF_ECU, 8, offsetof(fw, held.time)},
    {OF_ECU, 8, offsetof(fw, held.previous_time)},
};

static void put_report(sink *to, const fw *ecu, uint32_t counter)
{
    const numbers own = {counter, targets_version(ecu)};
    const void *const bases[BASES] = {ecu->facts, ecu, fw_running_image(&ecu->installation), &own};
    bool has_bundle = ecu->installation.has_bundle;
    const uint8_t head[] = {TAG_REPORT, has_bundle ? HAS_BUNDLE : 0, LEVEL};
    put(to, head, sizeof head);
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        const uint8_t *part = (const uint8_t *)bases[PARTS[i].base] + PARTS[i].offset;
        uint8_t size = PARTS[i].size;
        if (size == TEXT) {
            put_length(to, *part);
            put(to, part + 1, *part);
        } else if (size < OCTETS) {
            put_number(to, part, size);
        } else if (size == OCTETS || has_bundle) {
            put(to, part, OCTETS);
        }
    }
    put_refusals(to, &ecu->refusals);
}

void fw_digest_report(const fw *ecu, uint8_t said[32])
{
    fw_sha256 hash;
    sink to = {.octets = NULL, .hash = &hash};
    fw_sha256_start(&hash);
    put_report(&to, ecu, 0);
    fw_sha256_end(&hash, said);
}

/* The payload is written first, behind room for what comes before it; the longest report fits, and so
 * it does in between. */
uint16_t fw_sign_report(fw *ecu, uint32_t counter, uint8_t said[32])
{
    uint8_t *octets = ecu->report.octets;
    uint8_t digest[FW_SHA512_LENGTH], message[FW_MESSAGE_LENGTH];
    fw_sha512 hash;
    sink head = {.octets = octets};
    sink payload = {.octets = octets + HEAD_LENGTH + 3u};
    put_report(&payload, ecu, counter);
    fw_sha512_start(&hash);
    fw_sha512_add(&hash, payload.octets, payload.length);
    fw_sha512_end(&hash, digest);
    fw_message(message, digest);
    put(&head, "\x01\x01", 2);
    put(&head, ecu->facts->key_id, FW_KEY_ID_LENGTH);
    put_length(&head, SIGNATURE_LENGTH);
    fw_sign(octets + head.length, ecu->facts, message);
    head.length += SIGNATURE_LENGTH;
    put_length(&head, payload.length);
    memmove(octets + head.length, payload.octets, payload.length);
    fw_digest_report(ecu, said);
    return (uint16_t)(head.length + payload.length);
}
