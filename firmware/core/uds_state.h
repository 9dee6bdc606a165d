/* What the server remembers: who holds which session, the transfer under way, and what is silenced meanwhile. */
#ifndef FW_UDS_STATE_H
#define FW_UDS_STATE_H

/* What there is to know of a service. */
typedef struct {
    uint8_t service;
    uint8_t length;    /* of a request; FW_ANY: judged by itself */
    uint8_t echo;      /* octets of the request that a positive answer begins with */
    uint8_t functions; /* a bit for each sub-function 0 to 3; none: it has no sub-functions */
    bool is_for_groups;
    uint8_t data, data_length; /* what follows the echo: where in `fw_answers` */
} fw_service;

#define FW_ANY 0u

typedef struct {
    const fw_service *service;
    const uint8_t *octets;
    uint16_t length;
    uint8_t peer;
    uint8_t function; /* of the services that have sub-functions, without the bit that asks for silence */
    bool quiet;       /* no positive answer is wanted */
} fw_request;

struct fw_server {
    uint8_t next_counter;
    uint8_t session;  /* fw_session */
    uint8_t silenced; /* SILENT_MESSAGES: normal messages do not flow; SILENT_FAULTS: none are recorded */
    bool working;     /* a task is being carried out */
    bool transferring;
    bool exited;            /* the latest request ended a transfer; the same again is acknowledged again */
    bool said_pending;      /* to the request being served: it is answered even if no answer was wanted */
    fw_request asked;       /* the request being served */
    int16_t holder;         /* of the session; -1: nobody */
    int16_t last_counter;   /* of the block written last; -1: none yet */
    uint32_t left;          /* octets of the transfer that have not come */
    uint32_t session_end;   /* S3, unless in the default session, or working; instants are the low half of `now` */
    uint32_t traffic_check; /* when the interlock is looked at again, unless all is normal */
    uint32_t pending_at;    /* when "pending" is due, if working */
};

#endif
