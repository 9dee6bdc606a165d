/* ISO-TP for one ECU on one bus: whose frame it is, and who has a place (twin of uptane/link/isotp.py, can_frame.py).
 *
 * Frames are handled one by one, and a whole message is answered before the next frame is looked at. Whatever is
 * malformed, or of a kind not awaited, is ignored, as the standard says. A source address is believed only as far as to
 * keep peers apart.
 */
#include <string.h>

#include "isotp_parts.h"

#define KIND_MASK 0x03FF0000u /* of an identifier: all but the priority and the two addresses */
#define PHYSICAL 0x00DA0000u
#define FUNCTIONAL 0x00DB0000u
#define OURS 0x1CDA0000u /* physical, with the lowest priority: everything else on the bus goes first */
#define GROUP 0x33u      /* "all ECUs", as in ISO 15765-4 */
#define PADDING 0xAA     /* alternating bits cause no stuff bits */

void fw_link_start(fw_link *link)
{
    memset(link, 0, sizeof *link);
}

bool fw_link_offer(fw *ecu, uint8_t peer, fw_frame *frame)
{
    uint8_t length = fw_padded(frame->length);
    memset(frame->data + frame->length, PADDING, (size_t)(length - frame->length));
    frame->length = length;
    frame->fd = ecu->facts->fd;
    frame->id = OURS | (uint32_t)peer << 8 | ecu->facts->address;
    return fw_port_send(ecu->port, frame);
}

fw_peer *fw_link_place(fw *ecu, uint8_t address, bool make)
{
    fw_link *link = &ecu->link;
    fw_peer *place = NULL;
    for (fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (peer->in_length == 0 && peer->out_count == 0) {
            place = peer; /* it waits for nothing, and nobody for it */
        } else if (peer->address == address) {
            return peer;
        }
    }
    if (!make) {
        return NULL;
    }
    if (place == NULL && ecu->server.holder == address) {
        place = link->peers;
        fw_receive_stop(place);
        fw_send_stop(place);
    }
    if (place != NULL) {
        place->address = address;
    }
    return place;
}

/* ---------------------------------------------------------------------------------------------------------- frames */

/* Read a single frame: as short as its content allows, or padded to 8. The message's length, 0 if it is none. */
static uint8_t read_single(const fw_frame *frame, uint8_t *start)
{
    uint8_t size = frame->length, length = frame->data[0];
    *start = 1;
    if (size <= 8) {
        return length < size && (size == 8 || length == size - 1) ? length : 0;
    }
    if (length != 0) {
        return 0;
    }
    *start = 2;
    length = frame->data[1];
    return length >= 8 && length <= size - 2 && fw_padded((uint8_t)(length + 2)) == size ? length : 0;
}

static void hear_single(fw *ecu, const fw_frame *frame, bool functional)
{
    uint8_t source = (uint8_t)frame->id, start, length = read_single(frame, &start);
    if (length == 0) {
        return;
    }
    fw_peer *peer = functional ? NULL : fw_link_place(ecu, source, false);
    if (peer != NULL) {
        fw_receive_stop(peer); /* whoever begins another message has given up the one before */
    }
    fw_server_asked(ecu, source, frame->data + start, length, functional);
}

static void hear_peer(fw *ecu, const fw_frame *frame)
{
    uint8_t source = (uint8_t)frame->id, kind = frame->data[0] >> 4;
    if (kind == 0) {
        hear_single(ecu, frame, false);
        return;
    }
    if (kind == 1) {
        fw_receive_first(ecu, source, frame);
        return;
    }
    fw_peer *peer = fw_link_place(ecu, source, false);
    if (peer == NULL) {
        return;
    }
    if (kind == 2) {
        fw_receive_consecutive(ecu, peer, frame);
    } else if (kind == 3 && frame->length >= 3) {
        fw_send_flow(ecu, peer, frame->data);
    }
}

void fw_link_heard(fw *ecu, const fw_frame *frame)
{
    uint32_t kind = frame->id & KIND_MASK;
    uint8_t target = (uint8_t)(frame->id >> 8), own = ecu->facts->address;
    if ((uint8_t)frame->id == own || frame->length == 0 || frame->length > sizeof frame->data) {
        return;
    }
    if (kind == PHYSICAL && target == own) {
        hear_peer(ecu, frame);
    } else if (kind == FUNCTIONAL && target == GROUP && frame->data[0] >> 4 == 0) {
        hear_single(ecu, frame, true);
    }
}

/* ---------------------------------------------------------------------------------------------------------- timers */

/* Do what is due; what has not come in time is given up if `gives_up`. */
static void attend(fw *ecu, bool gives_up)
{
    fw_link *link = &ecu->link;
    for (fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (peer->in_length != 0 && fw_is_due(ecu, peer->in_until)) {
            if (peer->flow_refused != 0) {
                fw_receive_flow(ecu, peer);
            } else if (gives_up) {
                fw_receive_stop(peer);
            }
        }
        fw_send_push(ecu, peer);
        if (gives_up && peer->out_count != 0 && peer->out_waiting && fw_is_due(ecu, peer->out_at)) {
            fw_send_lose(ecu, peer);
        }
    }
}

void fw_link_breathe(fw *ecu)
{
    attend(ecu, false);
}

void fw_link_tick(fw *ecu)
{
    attend(ecu, true);
}

uint64_t fw_link_deadline(const fw *ecu)
{
    const fw_link *link = &ecu->link;
    int32_t first = INT32_MAX;
    for (const fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (peer->in_length != 0 && fw_until(ecu, peer->in_until) < first) {
            first = fw_until(ecu, peer->in_until);
        }
        if (peer->out_count != 0 && fw_until(ecu, peer->out_at) < first) {
            first = fw_until(ecu, peer->out_at);
        }
    }
    return fw_instant_of(ecu, first);
}
