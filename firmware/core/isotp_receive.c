/* The receiving half of ISO-TP: one message at a time per peer, one long one in all (twin of
 * uptane/link/isotp_receive.py).
 *
 * A message that finds no memory is refused at its first frame with flow status overflow: any message longer than the
 * block, and a long one of a peer other than the holder of the session, or, while nobody holds it, other than the
 * first.
 */
#include <string.h>

#include "isotp_parts.h"
#include "state.h"

static bool is_coming(const fw_peer *peer)
{
    return peer->in_until != FW_NEVER;
}

void fw_receive_stop(fw_peer *peer)
{
    peer->in_until = FW_NEVER;
    peer->flow_due = false;
}

/* ----------------------------------------------------------------------------------------------------- flow control */

static bool send_flow(fw *ecu, uint8_t address, uint8_t status)
{
    fw_frame frame = {.length = 3, .data = {(uint8_t)(0x30 | status), FW_BLOCK_FRAMES, 0}};
    return fw_link_offer(ecu, address, &frame);
}

void fw_receive_flow(fw *ecu, fw_peer *peer)
{
    peer->flow_due = !send_flow(ecu, peer->address, FW_CONTINUE);
    if (peer->flow_due) {
        ecu->link.retry_at = ecu->now + 1;
    }
}

/* Ask for the next block. */
static void ask_on(fw *ecu, fw_peer *peer)
{
    peer->in_block = FW_BLOCK_FRAMES;
    peer->in_until = ecu->now + FW_TIMER_MS;
    fw_receive_flow(ecu, peer);
}

/* ----------------------------------------------------------------------------------------------------- first frames */

/* Whether there is memory for a message of `length` octets; the holder of the session takes the block from another. */
static bool has_room(fw *ecu, uint8_t address, uint32_t length)
{
    fw_link *link = &ecu->link;
    int holder = fw_server_holder(&ecu->server);
    if (length <= FW_REQUEST_MAX) {
        return true;
    }
    if (length > FW_BLOCK_MAX || (holder >= 0 && holder != address)) {
        return false;
    }
    for (fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (is_coming(peer) && peer->in_length > FW_REQUEST_MAX) {
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
    if (fw_padded(size) != size) {
        return 0; /* a first frame fills its frame */
    }
    uint32_t length = (data[0] & 0x0Fu) << 8 | data[1];
    *start = 2;
    if (length == 0) {
        length = (uint32_t)data[2] << 24 | (uint32_t)data[3] << 16 | (uint32_t)data[4] << 8 | data[5];
        return length > FW_LENGTH_12_BIT ? length : 0;
    }
    return length > (size == 8 ? 7u : size - 2u) ? length : 0; /* else a single frame could carry it */
}

static void keep(fw_link *link, fw_peer *peer, const uint8_t *octets, uint8_t count)
{
    uint8_t *to = peer->in_length > FW_REQUEST_MAX ? link->block : peer->request;
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
    fw_peer *peer = fw_link_find(&ecu->link, address);
    if (peer != NULL) {
        fw_receive_stop(peer);
    }
    peer = has_room(ecu, address, length) ? fw_link_place(ecu, address) : NULL;
    if (peer == NULL) {
        (void)send_flow(
            ecu, address, FW_OVERFLOW); /* a client that does not hear it asks again, or gives up by itself */
        return;
    }
    peer->in_length = (uint16_t)length;
    peer->in_count = 0;
    peer->in_number = 1;
    peer->in_frame = frame->length;
    keep(&ecu->link, peer, frame->data + start, (uint8_t)(frame->length - start));
    ask_on(ecu, peer);
}

/* ----------------------------------------------------------------------------------------------- consecutive frames */

void fw_receive_consecutive(fw *ecu, fw_peer *peer, const fw_frame *frame)
{
    uint16_t left = (uint16_t)(peer->in_length - peer->in_count);
    uint8_t size = frame->length;
    bool is_last = left < peer->in_frame;
    if (!is_coming(peer) || size > peer->in_frame || (is_last ? size <= left : size < peer->in_frame)) {
        return;
    }
    if ((frame->data[0] & 0x0F) != peer->in_number) {
        fw_receive_stop(peer);
        return;
    }
    keep(&ecu->link, peer, frame->data + 1, (uint8_t)(is_last ? left : size - 1));
    peer->in_number = (peer->in_number + 1) & 0x0F;
    peer->in_until = ecu->now + FW_TIMER_MS;
    if (is_last) {
        fw_receive_stop(peer);
        const uint8_t *octets = peer->in_length > FW_REQUEST_MAX ? ecu->link.block : peer->request;
        fw_server_asked(ecu, peer->address, octets, peer->in_length, false);
    } else if (--peer->in_block == 0) {
        ask_on(ecu, peer);
    }
}
