/* The sending half of ISO-TP: one message at a time per peer, in order (twin of uptane/link/isotp_send.py).
 *
 * A frame is gone when the port has taken it. So the port's queue paces us, and the wait for flow control begins with
 * the last frame that the port took; a flow control in the middle of a block is not awaited, and ignored.
 */
#include <string.h>

#include "isotp_parts.h"

#define WAITS_MAX 16u /* wait frames in a row: at one N_Bs each 16 s, beyond anything that keeps a tester waiting */
#define QUEUED_MAX 4u /* behind the message going: an answer, its "pending", a tester present */
#define NO_FLOW UINT16_MAX /* block size 0: more frames than any message has */

/* ----------------------------------------------------------------------------------------------------------- queue */

/* Begin with the message at the start of the queue. */
static void begin(const fw *ecu, fw_peer *peer)
{
    peer->out_at = fw_after(ecu, 0);
    peer->refused = 0;
    peer->out_done = 0;
    peer->out_block = 1;
    peer->out_number = 0;
    peer->out_waits = 0;
    peer->out_waiting = false;
}

/* The message going has gone, or is lost. */
static void end(const fw *ecu, fw_peer *peer)
{
    peer->out_start = (uint8_t)(peer->out_start + 1 + peer->queue[peer->out_start]);
    peer->tail_length = 0;
    if (--peer->out_count == 0) {
        fw_send_stop(peer);
    } else {
        begin(ecu, peer);
    }
}

static bool put(fw_peer *peer, const uint8_t *octets, uint8_t length)
{
    uint8_t *to = peer->queue + peer->out_end;
    if (peer->out_count > QUEUED_MAX || peer->out_end + 1u + length > FW_QUEUE_MAX) {
        return false;
    }
    *to = length;
    memcpy(to + 1, octets, length);
    peer->out_end = (uint8_t)(peer->out_end + 1 + length);
    peer->out_count++;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- frames */

/* Offer the next frame of the message going. False: the port has no room for it. */
static bool offer(fw *ecu, fw_peer *peer)
{
    const uint8_t *octets = peer->queue + peer->out_start;
    uint32_t here = *octets++, done = peer->out_done, length = here + peer->tail_length;
    uint32_t size = ecu->facts->fd ? 64 : 8, at = 2;
    fw_frame frame;
    frame.data[0] = (uint8_t)(length >> 8);
    frame.data[1] = (uint8_t)length;
    if (done != 0) {
        at = 1;
        frame.data[0] = 0x20 | (peer->out_number & 0x0F);
    } else if (length <= 7) {
        at = 1;
        frame.data[0] = (uint8_t)length;
    } else if (length > size - 2) {
        frame.data[0] |= 0x10;
    }
    for (; at < size && done < length; done++) {
        frame.data[at++] = done < here ? octets[done] : peer->tail[done - here];
    }
    frame.length = (uint8_t)at;
    if (!fw_link_offer(ecu, peer->address, &frame)) {
        return false;
    }
    peer->out_done = (uint16_t)(done < length ? done : 0);
    return true;
}

void fw_send_push(fw *ecu, fw_peer *peer)
{
    while (peer->out_count != 0 && !peer->out_waiting && fw_is_due(ecu, peer->out_at)) {
        if (!offer(ecu, peer)) {
            peer->out_at = fw_after(ecu, 1);
            if (++peer->refused > FW_REFUSED_MAX) {
                end(ecu, peer);
            }
            return;
        }
        peer->refused = 0;
        peer->out_number++;
        if (peer->out_done == 0) {
            end(ecu, peer);
        } else {
            peer->out_waiting = --peer->out_block == 0; /* a first frame is a block by itself */
            peer->out_at = fw_after(ecu, peer->out_waiting ? FW_TIMER_MS : peer->out_gap);
        }
    }
}

/* -------------------------------------------------------------------------------------------------- flow and timers */

void fw_send_lose(fw *ecu, fw_peer *peer)
{
    end(ecu, peer);
    fw_send_push(ecu, peer);
}

/* STmin in whole milliseconds, and one more, since ours may have just begun; reserved values mean the longest. */
static uint8_t gap_of(uint8_t separation)
{
    if (separation == 0) {
        return 0;
    }
    if (separation >= 0xF1 && separation <= 0xF9) {
        return 2;
    }
    return (uint8_t)((separation <= 0x7F ? separation : 0x7F) + 1);
}

void fw_send_flow(fw *ecu, fw_peer *peer, const uint8_t flow[3])
{
    uint8_t status = flow[0] & 0x0F;
    if (peer->out_count == 0 || !peer->out_waiting) {
        return;
    }
    if (status == FW_CONTINUE) {
        peer->out_waiting = false;
        peer->out_waits = 0;
        peer->out_block = flow[1] != 0 ? flow[1] : NO_FLOW;
        peer->out_gap = gap_of(flow[2]);
        peer->out_at = fw_after(ecu, 0);
        fw_send_push(ecu, peer);
    } else if (status == FW_WAIT && ++peer->out_waits <= WAITS_MAX) {
        peer->out_at = fw_after(ecu, FW_TIMER_MS);
    } else {
        fw_send_lose(ecu, peer);
    }
}

/* -------------------------------------------------------------------------------------------------------- messages */

/* What fits one classic frame needs no memory, if everybody has a place. */
static bool send_single(fw *ecu, uint8_t address, const uint8_t *octets, uint8_t length)
{
    fw_frame frame;
    if (length > 7) {
        return false;
    }
    frame.length = (uint8_t)(length + 1);
    frame.data[0] = length;
    memcpy(frame.data + 1, octets, length);
    return fw_link_offer(ecu, address, &frame);
}

bool fw_link_send_long(
    fw *ecu, uint8_t address, const uint8_t *head, uint8_t head_length, const uint8_t *octets, uint16_t length)
{
    fw_peer *peer = fw_link_place(ecu, address, true);
    if (peer == NULL) {
        return length == 0 && send_single(ecu, address, head, head_length);
    }
    if ((length != 0 && peer->out_count != 0) || !put(peer, head, head_length)) {
        return false;
    }
    if (peer->out_count == 1) {
        peer->tail = octets;
        peer->tail_length = length;
        begin(ecu, peer);
        fw_send_push(ecu, peer);
    }
    return true;
}

void fw_link_send(fw *ecu, uint8_t address, const uint8_t *octets, uint8_t length)
{
    (void)fw_link_send_long(ecu, address, octets, length, NULL, 0); /* who does not hear an answer asks again */
}

void fw_link_drop_long(fw *ecu)
{
    fw_link *link = &ecu->link;
    for (fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (peer->tail_length != 0) {
            fw_send_lose(ecu, peer);
        }
    }
}
