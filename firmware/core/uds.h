/* The server's half of UDS (twin of uptane/link/uds_server.py, uds.py, uds_objects.py): who may ask for what, when, and
 * in which order. What an update means is the ECU's (ecu.c), which is asked by the functions at the end.
 */
#ifndef FW_UDS_H
#define FW_UDS_H

#include "fw.h"
#include "fw_codes.h"

#define FW_PRIMARY_ADDRESS 0xF0u

typedef enum { FW_SESSION_DEFAULT = 1, FW_SESSION_PROGRAMMING, FW_SESSION_EXTENDED } fw_session;

typedef enum {
    FW_DONE = 0x00,
    FW_NRC_SERVICE = 0x11,
    FW_NRC_SUBFUNCTION = 0x12,
    FW_NRC_LENGTH = 0x13,
    FW_NRC_BUSY = 0x21,
    FW_NRC_CONDITIONS = 0x22,
    FW_NRC_SEQUENCE = 0x24,
    FW_NRC_RANGE = 0x31,
    FW_NRC_DOWNLOAD = 0x70,
    FW_NRC_SUSPENDED = 0x71,
    FW_NRC_PROGRAMMING = 0x72,
    FW_NRC_BLOCK_COUNTER = 0x73,
    FW_NRC_PENDING = 0x78,
    FW_NRC_SUBFUNCTION_SESSION = 0x7E,
    FW_NRC_SERVICE_SESSION = 0x7F,
    FW_NRC_MOVING = 0x88
} fw_nrc;

typedef struct fw_server fw_server; /* defined in uds_state.h, owned by uds.c */

void fw_server_start(fw_server *server);
void fw_server_asked(fw *ecu, uint8_t peer, const uint8_t *octets, uint16_t length, bool functional);
void fw_server_tick(fw *ecu);
uint64_t fw_server_deadline(const fw *ecu);
/* Called from within anything long, after ecu->now has moved on: say "pending" when it is due. */
void fw_server_breathe(fw *ecu);
/* Who holds the session; -1 for nobody. */
int fw_server_holder(const fw_server *server);

/* ---------------------------------------------------- asked of the ECU (ecu.c; twins: attempt.py, readings.py) */

typedef enum {
    FW_BEGIN_OBJECT,
    FW_BEGIN_IMAGE,
    FW_WRITE_BLOCK,
    FW_END_TRANSFER,
    FW_ERASE,
    FW_VERIFY,
    FW_DEPENDENCIES,
    FW_PREPARE_RESTART
} fw_task_kind;

typedef struct {
    fw_task_kind kind;
    uint8_t option;        /* FW_BEGIN_OBJECT: first octet of the address (0xF0..); FW_VERIFY: the check option */
    uint32_t offset, size; /* FW_BEGIN_IMAGE: both; FW_BEGIN_OBJECT: size */
    const uint8_t *octets; /* FW_WRITE_BLOCK */
    uint16_t length;
} fw_task;

fw_nrc fw_do(fw *ecu, const fw_task *task); /* carried out when it returns */
int fw_read(
    fw *ecu, uint16_t did, uint8_t *octets,
    uint16_t length_max); /* octets written; -1: none. Not the report (FD01), which uds.c sends from ecu->report */
void fw_opened(fw *ecu, fw_session session, uint8_t peer);
void fw_misused(fw *ecu, fw_check check);
void fw_power_cycle(fw *ecu);

#include "uds_state.h"

#endif
