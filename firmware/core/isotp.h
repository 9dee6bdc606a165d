/* ISO-TP (ISO 15765-2:2016) with normal fixed addressing, classic and FD (twin of uptane/link/isotp*.py, can_frame.py).
 *
 * Memory: one block buffer, for the client that holds the session (or, without one, the first to ask), and FW_PEERS_MAX
 * small ones for requests. A longer message of anybody else is answered with flow status overflow.
 */
#ifndef FW_ISOTP_H
#define FW_ISOTP_H

#include "fw.h"

typedef struct fw_link fw_link; /* defined in isotp_state.h, owned by isotp.c */

void fw_link_start(fw_link *link);

/* Hear a frame; whole messages go to fw_server_asked. Frames that are not for this ECU are passed over. */
void fw_link_heard(fw *ecu, const fw_frame *frame);
void fw_link_tick(fw *ecu);
uint64_t fw_link_deadline(const fw *ecu);
/* Offer the port what it had no room for; gives nothing up. For fw_server_breathe. */
void fw_link_breathe(fw *ecu);

/* Send a message of at most FW_SMALL_MAX octets, which are copied. */
void fw_link_send(fw *ecu, uint8_t peer, const uint8_t *octets, uint8_t length);
/* Send `head` and then `length` octets that stay where they are (the report), more than one frame of them. False:
 * another message to this peer is under way. */
bool fw_link_send_long(
    fw *ecu, uint8_t peer, const uint8_t *head, uint8_t head_length, const uint8_t *octets, uint16_t length);
/* What fw_link_send_long was given changes now: break off whatever is being sent of it. */
void fw_link_drop_long(fw *ecu);

#include "isotp_state.h"

#endif
