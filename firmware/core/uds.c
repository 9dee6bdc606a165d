/* The server's half of UDS: who may ask for what, when, and in which order (twin of uptane/link/uds_server.py).
 *
 * It judges sessions, the interlock, the one client, transfers and their block counters. A task is carried out by the
 * ECU before anything else is heard, so no request ever meets another that is being worked on; "pending" is said
 * meanwhile. Any node on the bus may be hostile: nothing here believes a source address further than to keep clients
 * apart.
 */
#include <string.h>

#include "instants.h"
#include "uds_parts.h"

#define PENDING_AFTER_MS 25u   /* half of P2 for us, half for the bus */
#define PENDING_AGAIN_MS 2500u /* half of P2* */
#define S3_MS 5000u
#define INTERLOCK_CHECK_MS 1000u /* while normal messages are silenced */
#define POSITIVE 0x40u
#define NEGATIVE 0x7Fu
#define ANSWER_MAX 8u /* octets of any positive answer that is not a reading */

/* Bits of `silenced`. */
#define SILENT_MESSAGES 1u
#define SILENT_FAULTS 2u

/* Keeps a large frame off the stack on which an update is verified. */
#define APART __attribute__((noinline))

void fw_server_start(fw_server *server)
{
    memset(server, 0, sizeof *server);
    server->holder = -1;
    server->session = FW_SESSION_DEFAULT;
}

int fw_server_holder(const fw_server *server)
{
    return server->holder;
}

/* --------------------------------------------------------------------------------------------------------- answers */

static void deny(fw *ecu, fw_nrc nrc)
{
    const fw_request *asked = &ecu->server.asked;
    uint8_t reply[] = {NEGATIVE, asked->octets[0], (uint8_t)nrc};
    fw_link_send(ecu, asked->peer, reply, sizeof reply);
}

/* Answer in the positive, unless that is not wanted. */
static void say(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    const fw_service *service = asked->service;
    uint8_t reply[ANSWER_MAX];
    if (asked->quiet && !ecu->server.said_pending) {
        return;
    }
    memcpy(reply, asked->octets, service->echo);
    reply[0] |= POSITIVE;
    if (service->functions != 0) {
        reply[1] = asked->function;
    }
    memcpy(reply + service->echo, fw_answers + service->data, service->data_length);
    fw_link_send(ecu, asked->peer, reply, (uint8_t)(service->echo + service->data_length));
}

fw_nrc fw_misuse(fw *ecu, fw_nrc nrc, fw_check check)
{
    fw_misused(ecu, check);
    return nrc;
}

static APART fw_nrc answer_reading(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    uint8_t reply[FW_SMALL_MAX] = {FW_READ | POSITIVE, asked->octets[1], asked->octets[2]};
    uint16_t did = fw_u16(asked->octets + 1);
    if (did == FW_DID_REPORT) {
        if (ecu->report.length == 0) {
            return FW_NRC_RANGE;
        }
        return fw_link_send_long(ecu, asked->peer, reply, 3, ecu->report.octets, ecu->report.length) ? FW_DONE
                                                                                                     : FW_NRC_BUSY;
    }
    int length = fw_read(ecu, did, reply + 3, sizeof reply - 3);
    if (length < 0) {
        return FW_NRC_RANGE;
    }
    fw_link_send(ecu, asked->peer, reply, (uint8_t)(3 + length));
    return FW_DONE;
}

/* ---------------------------------------------------------------------------------------------- sessions, interlock */

static void silence(fw *ecu, uint8_t silenced)
{
    if (silenced != ecu->server.silenced) {
        ecu->server.silenced = silenced;
        fw_port_traffic(ecu->port, !(silenced & SILENT_MESSAGES), !(silenced & SILENT_FAULTS));
    }
}

fw_nrc fw_safe(fw *ecu)
{
    fw_interlock word = fw_port_interlock(ecu->port);
    if (word == FW_SAFE) {
        return FW_DONE;
    }
    silence(ecu, 0);
    return fw_misuse(ecu, word == FW_MOVING ? FW_NRC_MOVING : FW_NRC_CONDITIONS, FW_LINK_INTERLOCK);
}

fw_nrc fw_may(fw *ecu, bool carried_out)
{
    uint8_t session = ecu->server.session;
    if (carried_out ? session != FW_SESSION_PROGRAMMING : session == FW_SESSION_DEFAULT) {
        return fw_misuse(ecu, FW_NRC_SERVICE_SESSION, FW_LINK_SESSION);
    }
    return carried_out ? fw_safe(ecu) : FW_DONE;
}

/* Any request of the holder keeps the session; nobody else's does. */
static void keep_session(fw *ecu, uint8_t peer)
{
    if (ecu->server.holder == peer) {
        ecu->server.session_end = fw_after(ecu, S3_MS);
    }
}

static void open_session(fw *ecu, fw_session session, uint8_t peer)
{
    fw_server *server = &ecu->server;
    server->transferring = false;
    server->session = (uint8_t)session;
    if (session == FW_SESSION_DEFAULT) {
        server->holder = -1;
        silence(ecu, 0);
    } else {
        server->holder = peer;
        keep_session(ecu, peer);
    }
    fw_opened(ecu, session, peer);
}

static fw_nrc answer_session(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    fw_nrc no = asked->function == FW_SESSION_PROGRAMMING ? fw_safe(ecu) : FW_DONE;
    if (no == FW_DONE) {
        open_session(ecu, (fw_session)asked->function, asked->peer);
    }
    return no;
}

/* Change what the vehicle's normal life sees of this ECU; restoring it is never refused for being unsafe. */
static fw_nrc answer_silence(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    uint8_t what = SILENT_MESSAGES, normal = 0; /* the sub-function that silences nothing */
    if (asked->octets[0] == FW_DTC) {
        what = SILENT_FAULTS;
        normal = 1;
    }
    uint8_t silenced = (uint8_t)((ecu->server.silenced & ~what) | (asked->function == normal ? 0 : what));
    fw_nrc no = fw_may(ecu, false);
    if (no == FW_DONE && silenced != 0) {
        no = fw_safe(ecu);
    }
    if (no == FW_DONE) {
        ecu->server.traffic_check = fw_after(ecu, INTERLOCK_CHECK_MS);
        silence(ecu, silenced);
    }
    return no;
}

/* ----------------------------------------------------------------------------------------------------------- tasks */

static void say_pending(fw *ecu)
{
    fw_server *server = &ecu->server;
    server->said_pending = true;
    server->pending_at = fw_after(ecu, PENDING_AGAIN_MS);
    deny(ecu, FW_NRC_PENDING);
}

static void describe(fw_task *task, const fw_request *asked)
{
    const uint8_t *octets = asked->octets;
    if (octets[0] == FW_DOWNLOAD) {
        task->option = octets[3];
        task->offset = fw_u32(octets + 3);
        task->size = fw_u32(octets + 7);
    } else if (octets[0] == FW_TRANSFER) {
        task->octets = octets + 2;
        task->length = (uint16_t)(asked->length - 2);
    } else if (asked->length == 5) { /* of these only a check is as long */
        task->option = octets[4];
    }
}

fw_nrc fw_carry_out(fw *ecu, fw_task_kind kind)
{
    const fw_request *asked = &ecu->server.asked;
    fw_server *server = &ecu->server;
    fw_task task = {.kind = kind};
    describe(&task, asked);
    server->pending_at = fw_after(ecu, PENDING_AFTER_MS);
    server->working = true;
    if (!asked->quiet && (kind == FW_VERIFY || kind == FW_ERASE || kind == FW_PREPARE_RESTART)) {
        say_pending(ecu); /* a signature alone takes longer than P2, and nothing is said meanwhile */
    }
    fw_nrc no = fw_do(ecu, &task);
    server->working = false;
    keep_session(ecu, asked->peer);
    if (no != FW_DONE && (asked->octets[0] == FW_TRANSFER || asked->octets[0] == FW_EXIT)) {
        server->transferring = false;
    }
    if (no == FW_NRC_DOWNLOAD || no == FW_NRC_SUSPENDED || no == FW_NRC_PROGRAMMING) {
        silence(ecu, 0); /* the update has failed: the vehicle must not stay silenced */
    }
    return no;
}

/* -------------------------------------------------------------------------------------------------------- requests */

/* FW_DONE: answer in the positive (a reading is its own answer). */
static fw_nrc serve(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    fw_server *server = &ecu->server;
    uint8_t service = asked->octets[0];
    if (service == FW_READ) {
        return answer_reading(ecu);
    }
    if (service == FW_PRESENT) {
        return FW_DONE;
    }
    if (server->holder >= 0 && server->holder != asked->peer) {
        return fw_misuse(ecu, FW_NRC_BUSY, FW_LINK_BUSY);
    }
    bool exited = server->exited;
    fw_nrc no;
    server->exited = false;
    switch (service) {
    case FW_SESSION:
        return answer_session(ecu);
    case FW_RESET:
        no = fw_may(ecu, true);
        return no != FW_DONE ? no : fw_carry_out(ecu, FW_PREPARE_RESTART);
    case FW_ROUTINE:
        return fw_answer_routine(ecu);
    case FW_DOWNLOAD:
        return fw_answer_download(ecu);
    case FW_TRANSFER:
        return fw_answer_block(ecu);
    case FW_EXIT:
        return fw_answer_exit(ecu, exited);
    default:
        return answer_silence(ecu);
    }
}

/* It is done: answer, and restart if that was asked for. */
static void finish(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    if (asked->octets[0] == FW_READ) {
        return;
    }
    say(ecu);
    if (asked->octets[0] == FW_RESET) {
        silence(ecu, 0);
        fw_power_cycle(ecu);
    }
}

/* ISO 14229-1, 7.5.6. */
static bool is_unsaid_to_groups(fw_nrc nrc)
{
    return nrc == FW_NRC_SERVICE || nrc == FW_NRC_SUBFUNCTION || nrc == FW_NRC_RANGE || nrc == FW_NRC_SERVICE_SESSION;
}

void fw_server_asked(fw *ecu, uint8_t peer, const uint8_t *octets, uint16_t length, bool functional)
{
    fw_request *asked = &ecu->server.asked;
    ecu->server.said_pending = false;
    fw_nrc no = fw_read_request(asked, octets, length);
    asked->peer = peer;
    if (no == FW_DONE) {
        if (functional && !asked->service->is_for_groups) {
            return;
        }
        keep_session(ecu, peer);
        no = serve(ecu);
    }
    if (no == FW_DONE) {
        finish(ecu);
    } else if (!functional || !is_unsaid_to_groups(no)) {
        deny(ecu, no);
    }
}

/* ---------------------------------------------------------------------------------------------------------- timers */

/* Silencing the vehicle ends as soon as it is not safe any more. */
static void look_at_interlock(fw *ecu)
{
    fw_server *server = &ecu->server;
    if (server->silenced != 0 && fw_is_due(ecu, server->traffic_check)) {
        server->traffic_check = fw_after(ecu, INTERLOCK_CHECK_MS);
        if (fw_port_interlock(ecu->port) != FW_SAFE) {
            silence(ecu, 0);
        }
    }
}

void fw_server_breathe(fw *ecu)
{
    if (ecu->server.working && fw_is_due(ecu, ecu->server.pending_at)) {
        say_pending(ecu);
    }
    look_at_interlock(ecu);
    fw_link_breathe(ecu);
}

void fw_server_tick(fw *ecu)
{
    if (ecu->server.holder >= 0 && fw_is_due(ecu, ecu->server.session_end)) {
        open_session(ecu, FW_SESSION_DEFAULT, (uint8_t)ecu->server.holder);
    }
    look_at_interlock(ecu);
}

uint64_t fw_server_deadline(const fw *ecu)
{
    const fw_server *server = &ecu->server;
    int32_t first = server->holder >= 0 ? fw_until(ecu, server->session_end) : INT32_MAX;
    if (server->silenced != 0 && fw_until(ecu, server->traffic_check) < first) {
        first = fw_until(ecu, server->traffic_check);
    }
    return fw_instant_of(ecu, first);
}
