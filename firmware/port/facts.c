/* What an ECU is, read from the octets that were provisioned (twin of firmware/tools/facts.py, which has the format).
 *
 * What holds: nothing is taken from octets whose CRC is wrong, and nothing may follow what is needed.
 */
#include "facts.h"

#include <string.h>

#define HEAD 9u /* magic, version, length */
#define VERSION 1u
#define CRC 4u
#define ADDRESS_MAX 239u

typedef struct {
    const uint8_t *octets;
    size_t left;
    bool bad;
} reader;

static uint32_t crc32_of(const uint8_t *octets, size_t length)
{
    uint32_t crc = 0xFFFFFFFFu;
    while (length-- > 0) {
        crc ^= *octets++;
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

static void take(reader *from, void *to, size_t length)
{
    if (from->left < length) {
        from->bad = true;
        memset(to, 0, length);
        return;
    }
    memcpy(to, from->octets, length);
    from->octets += length;
    from->left -= length;
}

static uint64_t take_number(reader *from, size_t length)
{
    uint8_t octets[8];
    uint64_t number = 0;
    take(from, octets, length);
    for (size_t i = 0; i < length; i++) {
        number = number << 8 | octets[i];
    }
    return number;
}

static uint8_t take_text(reader *from, char *text, size_t max)
{
    uint8_t length = (uint8_t)take_number(from, 1);
    if (length == 0 || length > max) {
        from->bad = true;
        return 0;
    }
    take(from, text, length);
    return length;
}

static void take_name(reader *from, fw_name *name)
{
    name->length = take_text(from, name->text, FW_NAME_MAX);
}

static void take_filename(reader *from, fw_filename *name)
{
    name->length = take_text(from, name->text, FW_FILENAME_MAX);
}

static void take_image(reader *from, fw_image *image)
{
    take_filename(from, &image->filename);
    image->length = (uint32_t)take_number(from, 4);
    image->release_counter = (uint32_t)take_number(from, 4);
    take(from, image->sha256, sizeof image->sha256);
}

bool fw_read_facts(fw_facts *facts, const uint8_t *octets, size_t length)
{
    reader head = {octets, length, false};
    uint8_t magic[4];
    take(&head, magic, sizeof magic);
    uint64_t version = take_number(&head, 1);
    uint64_t whole = take_number(&head, 4);
    if (head.bad || memcmp(magic, "MQF1", 4) != 0 || version != VERSION || whole > length || whole < HEAD + CRC) {
        return false;
    }
    reader from = {octets + HEAD, (size_t)whole - HEAD - CRC, false};
    reader end = {octets + whole - CRC, CRC, false};
    if (take_number(&end, CRC) != crc32_of(octets, (size_t)whole - CRC)) {
        return false;
    }
    take_name(&from, &facts->vehicle);
    take_name(&from, &facts->ecu);
    take_name(&from, &facts->hardware);
    take_filename(&from, &facts->accepts);
    facts->address = (uint8_t)take_number(&from, 1);
    facts->fd = take_number(&from, 1) != 0;
    facts->slow_floor = (uint32_t)take_number(&from, 4);
    facts->floor = take_number(&from, 8);
    take(&from, facts->secret, sizeof facts->secret);
    take(&from, facts->seed, sizeof facts->seed);
    take(&from, facts->public_key, sizeof facts->public_key);
    take(&from, facts->key_id, sizeof facts->key_id);
    take_image(&from, &facts->factory);
    facts->root_length = (uint32_t)take_number(&from, 4);
    facts->root = from.octets;
    return !from.bad && facts->root_length == from.left && facts->address >= 1 && facts->address <= ADDRESS_MAX;
}
