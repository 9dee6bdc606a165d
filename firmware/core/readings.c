/* What service 0x22 reads from this ECU (twin of secondary/readings.py, and of the status in
 * uptane/link/uds_objects.py).
 */
#include "ecu.h"

#include "octets.h"

#include <string.h>

#define DID_ECU 0xF18Cu
#define DID_VEHICLE 0xF190u
#define DID_HARDWARE 0xF191u
#define DID_FILENAME 0xF195u
#define DID_STATUS 0xFD00u
#define DID_NONCE 0xFD02u
#define DID_REFUSAL 0xFD03u

#define STATUS_LAYOUT 1u
#define STATUS_LENGTH 90u

/* How much of which entry's image the other slot holds: of the assigned one's if any, else of an earlier one's. */
static void download(const fw *ecu, uint32_t *octets, const uint8_t **tag)
{
    const fw_targets *targets = &ecu->held.targets;
    const fw_progress *progress = &ecu->progress[fw_other(&ecu->installation)];
    *octets = targets->present && targets->has_entry ? fw_held_octets(ecu) : 0;
    *tag = targets->entry.digest;
    if (*octets == 0) {
        *octets = progress->present ? progress->next_offset : 0;
        *tag = progress->present ? progress->tag : NULL;
    }
}

static void status(const fw *ecu, uint8_t octets[STATUS_LENGTH])
{
    const fw_installation *installation = &ecu->installation;
    const fw_targets *targets = &ecu->held.targets;
    const uint8_t *tag;
    uint32_t next_offset;
    download(ecu, &next_offset, &tag);
    memset(octets, 0, STATUS_LENGTH);
    octets[0] = STATUS_LAYOUT;
    octets[1] = installation->state;
    octets[2] = installation->outcome;
    octets[3] = installation->running;
    octets[4] = ecu->held.attested;
    fw_put_u32(octets + 5, ecu->held.root_version);
    fw_put_u32(octets + 13, targets->present ? targets->version : 0); /* before it: the Image Root; we hold none */
    fw_put_u32(octets + 17, next_offset);
    if (tag != NULL) {
        memcpy(octets + 21, tag, FW_SHA256_LENGTH);
    }
    if (installation->has_bundle) {
        memcpy(octets + 53, installation->bundle, FW_BUNDLE_LENGTH);
    }
    fw_put_u32(octets + 85, ecu->report.counter);
    octets[89] = installation->last_phase == FW_NO_PHASE ? 0 : (uint8_t)(installation->last_phase + 1);
}

int fw_read(fw *ecu, uint16_t did, uint8_t *octets, uint16_t length_max)
{
    const fw_name *name = &ecu->facts->vehicle;
    const fw_filename *filename = &fw_running_image(&ecu->installation)->filename;
    const void *from;
    uint8_t length;
    switch (did) {
    case DID_STATUS:
        if (length_max < STATUS_LENGTH) {
            return -1;
        }
        status(ecu, octets);
        return (int)STATUS_LENGTH;
    case DID_REFUSAL:
        octets[0] = (uint8_t)(ecu->latest_refusal >> 8);
        octets[1] = (uint8_t)ecu->latest_refusal;
        return 2;
    case DID_NONCE:
        from = ecu->nonce;
        length = ecu->has_nonce ? FW_NONCE_LENGTH : 0;
        break;
    case DID_FILENAME:
        from = filename->text;
        length = filename->length;
        break;
    case DID_ECU:
    case DID_HARDWARE:
        name = did == DID_ECU ? &ecu->facts->ecu : &ecu->facts->hardware; /* fall through */
    case DID_VEHICLE:
        from = name->text;
        length = name->length;
        break;
    default:
        return -1;
    }
    if (length == 0 || length > length_max) {
        return -1;
    }
    memcpy(octets, from, length);
    return length;
}
