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
    /* Octets first: the nearest are reached by the shortest instructions. */
    uint8_t address;
    uint8_t in_number;  /* next sequence number */
    uint8_t in_block;   /* frames until our next flow control */
    uint8_t in_frame;   /* RX_DL: octets of its frames */
    uint8_t out_number; /* of the frames sent */
    uint8_t out_gap;    /* ms between frames */
    uint8_t out_waits;  /* wait frames in a row */
    uint8_t out_start;  /* of the queue: the message going, */
    uint8_t out_end;    /* the end of the last one, */
    uint8_t out_count;  /* and how many they are */
    bool out_waiting;   /* for flow control */
    uint16_t tail_length;
    uint16_t out_done;     /* octets of the message going that are in frames */
    uint16_t out_block;    /* consecutive frames until the next flow control */
    uint16_t in_length;    /* octets of the message coming, 0 for none, */
    uint16_t in_count;     /* and of them those that came */
    uint16_t refused;      /* times in a row that the port had no room for its frame, */
    uint16_t flow_refused; /* and for our flow control; 0: none is due */
    uint32_t in_until;     /* N_Cr, or when our flow control is offered again; instants are the low half of `now` */
    uint32_t out_at;       /* when the next frame is due, or N_Bs */
    const uint8_t *tail;   /* further octets of the message going, which are not in the queue */
    uint8_t request[FW_REQUEST_MAX]; /* a short message coming; a longer one is in the block */
    uint8_t queue[FW_QUEUE_MAX];     /* messages to go, each behind its length */
} fw_peer;

struct fw_link {
    fw_peer peers[FW_PEERS_MAX];
    uint8_t block[FW_BLOCK_MAX]; /* of the peer whose message coming is longer than FW_REQUEST_MAX; one at most */
};

#endif
