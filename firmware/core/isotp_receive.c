/* The receiving half of ISO-TP: one message at a time per peer, one long one in all (twin of
 * uptane/link/isotp_receive.py).
 *
 * A message that finds no memory is refused at its first frame with flow status overflow: any message longer than the
 * block, and a long one of a peer other than the holder of the session, or, while nobody holds it, other than the
 * first.
 */
#include <string.h>

#include "isotp_parts.h"

#define BLOCK_FRAMES 64u /* block size we ask for: reaches 98.4 % of a classic bus */
#define LENGTH_12_BIT 0xFFFu

/* ----------------------------------------------------------------------------------------------------- flow control */

static bool send_flow(fw *ecu, uint8_t address, uint8_t status)
{
    fw_frame frame;
    frame.length = 3;
    frame.data[0] = 0x30 | status;
    frame.data[1] = BLOCK_FRAMES;
    frame.data[2] = 0; /* STmin */
    return fw_link_offer(ecu, address, &frame);
}

void fw_receive_flow(fw *ecu, fw_peer *peer)
{
    peer->in_block = BLOCK_FRAMES;
    if (send_flow(ecu, peer->address, FW_CONTINUE)) {
        peer->flow_refused = 0;
        peer->in_until = fw_after(ecu, FW_TIMER_MS);
    } else if (++peer->flow_refused > FW_REFUSED_MAX) {
        fw_receive_stop(peer);
    } else {
        peer->in_until = fw_after(ecu, 1);
    }
}

/* ----------------------------------------------------------------------------------------------------- first frames */

/* Whether there is memory for a message of `length` octets; the holder of the session takes the block from another. */
static bool has_room(fw *ecu, uint8_t address, uint32_t length)
{
    fw_link *link = &ecu->link;
    int holder = ecu->server.holder;
    if (length <= FW_REQUEST_MAX) {
        return true;
    }
    if (length > FW_BLOCK_MAX || (holder >= 0 && holder != address)) {
        return false;
    }
    for (fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (fw_link_has_block(peer)) {
            if (holder < 0) {
                return false;
            }
            fw_receive_stop(peer);
        }
    }
    return true;
}

/* Read the length a first frame announces, and where its octets start; 0 if it is to be ignored. */
static uint32_t read_first(const fw_frame *frame, uint8_t *start)
{
    const uint8_t *data = frame->data;
    uint8_t size = frame->length;
    uint32_t length = (data[0] & 0x0Fu) << 8 | data[1], single_max = size == 8 ? 7 : size - 2u;
    if (fw_padded(size) != size) {
        return 0; /* a first frame fills its frame */
    }
    *start = 2;
    if (length == 0) {
        length = (uint32_t)data[2] << 24 | (uint32_t)data[3] << 16 | (uint32_t)data[4] << 8 | data[5];
        single_max = LENGTH_12_BIT;
    }
    return length > single_max ? length : 0; /* else it could have been said shorter */
}

static void keep(fw_link *link, fw_peer *peer, const uint8_t *octets, uint16_t count)
{
    uint8_t *to = fw_link_has_block(peer) ? link->block : peer->request;
    memcpy(to + peer->in_count, octets, count);
    peer->in_count = (uint16_t)(peer->in_count + count);
}

void fw_receive_first(fw *ecu, uint8_t address, const fw_frame *frame)
{
    uint8_t start;
    uint32_t length = read_first(frame, &start);
    if (length == 0) {
        return;
    }
    fw_peer *peer = fw_link_place(ecu, address, false);
    if (peer != NULL) {
        fw_receive_stop(peer);
    }
    peer = has_room(ecu, address, length) ? fw_link_place(ecu, address, true) : NULL;
    if (peer == NULL) {
        (void)send_flow(ecu, address, FW_OVERFLOW); /* whoever does not hear it asks again, or gives up */
        return;
    }
    peer->in_length = (uint16_t)length;
    peer->in_count = 0;
    peer->in_number = 1;
    peer->in_frame = frame->length;
    keep(&ecu->link, peer, frame->data + start, (uint16_t)(frame->length - start));
    fw_receive_flow(ecu, peer);
}

/* ----------------------------------------------------------------------------------------------- consecutive frames */

void fw_receive_consecutive(fw *ecu, fw_peer *peer, const fw_frame *frame)
{
    uint16_t length = peer->in_length, left = (uint16_t)(length - peer->in_count);
    uint8_t size = frame->length;
    bool is_last = left < peer->in_frame;
    if (length == 0 || size > peer->in_frame || (is_last ? size <= left : size < peer->in_frame)) {
        return;
    }
    if ((frame->data[0] & 0x0F) != peer->in_number) {
        fw_receive_stop(peer);
        return;
    }
    keep(&ecu->link, peer, frame->data + 1, is_last ? left : (uint16_t)(size - 1));
    peer->in_number = (peer->in_number + 1) & 0x0F;
    peer->in_until = fw_after(ecu, FW_TIMER_MS);
    if (is_last) {
        const uint8_t *octets = fw_link_has_block(peer) ? ecu->link.block : peer->request;
        fw_receive_stop(peer);
        fw_server_asked(ecu, peer->address, octets, length, false);
    } else if (--peer->in_block == 0) {
        fw_receive_flow(ecu, peer);
    }
}
