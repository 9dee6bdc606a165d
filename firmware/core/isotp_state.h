/* What the link remembers: a few peers, each with at most one message coming and a few going, and one block buffer.
 *
 * A peer that neither sends nor is sent to needs none of this, so places are given away freely: to whoever comes, while
 * there is one; to the holder of the session always, at the cost of another.
 */
#ifndef FW_ISOTP_STATE_H
#define FW_ISOTP_STATE_H

#include "fw_limits.h"

/* The longest small message and its length, and behind it what may follow before the peer has taken it: short answers.
 */
#define FW_QUEUE_MAX (FW_SMALL_MAX + 1u + 12u)

typedef struct {
    uint64_t in_until;   /* N_Cr; FW_NEVER: no message is coming */
    uint64_t out_at;     /* the next frame is due, or N_Bs; FW_NEVER: no message is going */
    uint64_t out_until;  /* N_As: frames are due, and the port takes none */
    const uint8_t *tail; /* further octets of the message going, which are not in the queue */
    uint16_t tail_length;
    uint16_t out_done;                      /* octets of the message going that are in frames */
    uint16_t out_block;                     /* consecutive frames until the next flow control */
    uint16_t in_length, in_count;           /* octets of the message coming: all, and so far */
    uint8_t in_number, in_block;            /* next sequence number; frames until our next flow control */
    uint8_t in_frame;                       /* RX_DL: octets of its frames */
    uint8_t out_number, out_gap, out_waits; /* sequence number, ms between frames, wait frames in a row */
    uint8_t out_start, out_end, out_count;  /* of the queue: first octet of the message going, end, messages */
    uint8_t address;
    bool out_waiting;                /* for flow control */
    bool flow_due;                   /* the port had no room for our flow control */
    uint8_t request[FW_REQUEST_MAX]; /* a short message coming; a longer one is in the block */
    uint8_t queue[FW_QUEUE_MAX];     /* messages to go, each behind its length */
} fw_peer;

struct fw_link {
    uint64_t retry_at; /* for `flow_due`; FW_NEVER: none is */
    fw_peer peers[FW_PEERS_MAX];
    uint8_t block[FW_BLOCK_MAX]; /* of the peer whose message coming is longer than FW_REQUEST_MAX; one at most */
};

#endif
