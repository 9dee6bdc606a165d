/* Everything an ECU knows while it has power: one struct, of parts that each belong to one file. */
#ifndef FW_STATE_H
#define FW_STATE_H

#include "fw.h"
#include "fw_codes.h"
#include "installation.h"
#include "isotp.h"
#include "object.h"
#include "refusals.h"
#include "slots.h"
#include "store.h"
#include "trusted.h"
#include "uds.h"

typedef struct {
    uint8_t octets[FW_REPORT_MAX]; /* the signed envelope; sent from here */
    uint16_t length;               /* 0: none yet */
    uint64_t signed_at;
    uint8_t said[32]; /* SHA-256 over what it says, but for counter and the low bits of counts */
    uint32_t counter; /* the counter it bears, then the last one used */
    uint32_t ceiling; /* the highest counter reserved durably */
} fw_report;

/* Small and much used things first, large areas last: near things are reached by short instructions. */
struct fw {
    fw_port *port;
    const fw_facts *facts;
    uint64_t now;            /* of the event being handled; moved on by fw_port_breathe */
    fw_check latest_refusal; /* FW_OK for none */
    bool has_nonce;
    bool untouched; /* the other slot was erased for its tag in this power cycle, nothing written since */
    bool testing, down;
    fw_server server; /* uds.c */
    uint32_t nonce_counter;
    uint8_t nonce[FW_NONCE_LENGTH];
    uint64_t revert_at; /* FW_NEVER: not waiting */
    struct {
        uint64_t begun;
        uint32_t octets;
        bool running, told;
    } watch;                      /* watch.c: slow retrieval */
    fw_store store;               /* store.c: where the newest records lie */
    fw_progress progress[2];      /* slots.c */
    fw_download download;         /* slots.c: the end of the one under way */
    fw_held held;                 /* trusted.c: what the Director has proved */
    fw_installation installation; /* installation.c */
    fw_refusals refusals;         /* refusals.c */
    fw_report report;             /* report.c */
    fw_object object;             /* object.c: what is being delivered, believed by nobody */
    fw_link link;                 /* isotp.c */
};

#endif
