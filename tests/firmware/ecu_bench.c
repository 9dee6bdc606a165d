/* Parts of the firmware's ECU alone - installation and its record, the log of records, the slots - on the flash of the
 * host port, which tears and wears. Driven from tests/firmware/ecu_pair.py.
 *
 * A function of the core that was left by a power cut returns BENCH_CUT.
 */
#include <stdlib.h>

#include "ecu.h"
#include "host.h"

#define BENCH_CUT (-1)

/* ------------------------------------------------------------------------------------------------------- the surroundings */

uint64_t fw_port_breathe(fw_port *port)
{
    return port->now;
}

void fw_breathe(fw *ecu)
{
    (void)ecu;
}

/* Nothing here depends on hashes. */
void fw_sha256_start(fw_sha256 *hash)
{
    memset(hash, 0, sizeof *hash);
}

void fw_sha256_add(fw_sha256 *hash, const void *octets, size_t length)
{
    (void)hash, (void)octets, (void)length;
}

void fw_sha256_end(fw_sha256 *hash, uint8_t digest[32])
{
    memcpy(digest, hash, 32);
}

void fw_sha512_start(fw_sha512 *hash)
{
    memset(hash, 0, sizeof *hash);
}

void fw_sha512_add(fw_sha512 *hash, const void *octets, size_t length)
{
    (void)hash, (void)octets, (void)length;
}

void fw_sha512_end(fw_sha512 *hash, uint8_t digest[64])
{
    memcpy(digest, hash, 64);
}

fw_port *bench_create(uint32_t page, uint32_t unit, uint32_t slot_size, uint32_t state_size)
{
    fw_port *port = calloc(1, sizeof *port);
    port->geometry = (fw_geometry){page, unit, slot_size, state_size};
    if (!fw_host_flash_make(port)) {
        abort();
    }
    port->ecu.port = port;
    return port;
}

void bench_destroy(fw_port *port)
{
    fw_host_flash_free(port);
    free(port->log);
    free(port);
}

/* Evaluate `call` with power that may be cut. */
#define POWERED(port, call)                                                                                            \
    do {                                                                                                               \
        if (setjmp((port)->power) != 0) {                                                                              \
            return BENCH_CUT;                                                                                          \
        }                                                                                                              \
        (port)->running = true;                                                                                        \
        int got = (int)(call);                                                                                         \
        (port)->running = false;                                                                                       \
        return got;                                                                                                    \
    } while (0)

/* -------------------------------------------------------------------------------------------------------------- records */

int bench_open(fw_port *port)
{
    POWERED(port, fw_store_open(&port->ecu.store, port));
}

int bench_put(fw_port *port, uint8_t record, const uint8_t *octets, uint16_t length)
{
    POWERED(port, fw_store_put(&port->ecu.store, (fw_record)record, octets, length));
}

static bool in_parts(fw_store *store, fw_record record, const uint8_t *octets, uint16_t length, uint16_t part)
{
    bool ended = fw_store_begin(store, record, length);
    for (uint16_t at = 0; ended && at < length; at = (uint16_t)(at + part)) {
        ended = fw_store_add(store, octets + at, part < length - at ? part : (uint16_t)(length - at));
    }
    return fw_store_end(store) && ended;
}

int bench_put_in_parts(fw_port *port, uint8_t record, const uint8_t *octets, uint16_t length, uint16_t part)
{
    POWERED(port, in_parts(&port->ecu.store, (fw_record)record, octets, length, part));
}

/* Begin a record and add to it, but do not end it. */
int bench_give_up(fw_port *port, uint8_t record, const uint8_t *octets, uint16_t length, uint16_t added)
{
    POWERED(port, fw_store_begin(&port->ecu.store, (fw_record)record, length) &&
                      fw_store_add(&port->ecu.store, octets, added));
}

int bench_delete(fw_port *port, uint8_t record)
{
    POWERED(port, fw_store_delete(&port->ecu.store, (fw_record)record));
}

int bench_tidy(fw_port *port)
{
    POWERED(port, (fw_store_tidy(&port->ecu.store), 1));
}

/* The record, at most 65,535 octets; -1 if there is none. */
int bench_get(fw_port *port, uint8_t record, uint8_t *octets)
{
    const fw_store *store = &port->ecu.store;
    uint16_t length = fw_store_length(store, (fw_record)record);
    return fw_store_has(store, (fw_record)record) && fw_store_get(store, (fw_record)record, 0, octets, length) ? length : -1;
}

const fw_store *bench_store(const fw_port *port)
{
    return &port->ecu.store;
}

/* The unit there reads blank, but was programmed. */
void bench_spoil(fw_port *port, uint8_t area, uint32_t offset)
{
    port->flash[area].programmed[offset / port->geometry.unit] = 1;
}

uint32_t bench_offset(const fw_port *port, uint8_t record)
{
    return port->ecu.store.offset[record];
}

uint32_t bench_end(const fw_port *port)
{
    return port->ecu.store.end;
}

uint16_t bench_damaged(const fw_port *port)
{
    return port->ecu.store.damaged;
}

/* ---------------------------------------------------------------------------------------------------------------- slots */

/* Begin with what is in the flash; `home` is the slot that is not written. */
int bench_slots(fw_port *port, uint8_t home)
{
    memset(&port->ecu.installation, 0, sizeof port->ecu.installation);
    memset(port->ecu.progress, 0, sizeof port->ecu.progress);
    port->ecu.installation.home = home;
    POWERED(port, fw_store_open(&port->ecu.store, port) && (fw_slots_load(&port->ecu), true));
}

int bench_erase(fw_port *port, const uint8_t *tag)
{
    POWERED(port, fw_slots_erase(&port->ecu, tag));
}

int bench_write(fw_port *port, const uint8_t *octets, uint16_t length)
{
    POWERED(port, fw_slots_write(&port->ecu, octets, length));
}

int bench_sync(fw_port *port)
{
    POWERED(port, fw_slots_sync(&port->ecu));
}

/* How far the download goes, -1 for none. */
int64_t bench_progress(const fw_port *port, uint8_t *tag)
{
    const fw_progress *progress = &port->ecu.progress[fw_other(&port->ecu.installation)];
    memcpy(tag, progress->tag, FW_SHA256_LENGTH);
    return progress->present ? (int64_t)progress->next_offset : -1;
}

/* --------------------------------------------------------------------------------------------------------- installations */

typedef struct {
    uint8_t has_entry, has_sha512, measured_sha512, attested, scheme, name_length;
    uint8_t phase, passed;
    uint32_t version, length, counter, measured_length, erases, erases_under;
    uint8_t bundle[FW_BUNDLE_LENGTH], key[32], name[FW_FILENAME_MAX];
    uint8_t sha256[FW_SHA256_LENGTH], sha512[FW_SHA512_LENGTH];
    uint8_t measured256[FW_SHA256_LENGTH], measured512[FW_SHA512_LENGTH];
} bench_input;

static fw_targets targets_of(const bench_input *in)
{
    fw_targets made = {.present = true, .has_entry = in->has_entry != 0, .version = in->version};
    memcpy(made.bundle, in->bundle, sizeof in->bundle);
    made.coordinator.scheme = in->scheme;
    memcpy(made.coordinator.octets, in->key, sizeof in->key);
    made.entry.image.filename.length = in->name_length;
    memcpy(made.entry.image.filename.text, in->name, sizeof in->name);
    made.entry.image.length = in->length;
    made.entry.image.release_counter = in->counter;
    memcpy(made.entry.image.sha256, in->sha256, sizeof in->sha256);
    made.entry.has_sha512 = in->has_sha512 != 0;
    memcpy(made.entry.sha512, in->sha512, sizeof in->sha512);
    return made;
}

static fw_check apply(const char *what, fw_installation *now, const bench_input *in)
{
    fw_targets assigned = targets_of(in);
    fw_content content = {.length = in->measured_length, .has_sha512 = in->measured_sha512 != 0};
    memcpy(content.sha256, in->measured256, sizeof content.sha256);
    memcpy(content.sha512, in->measured512, sizeof content.sha512);
    if (strcmp(what, "wanted") == 0) {
        return fw_installation_wanted(now, &assigned);
    } else if (strcmp(what, "erase") == 0) {
        return fw_installation_erase(now, &assigned);
    } else if (strcmp(what, "write") == 0) {
        return fw_installation_write(now);
    } else if (strcmp(what, "prepare") == 0) {
        return fw_installation_prepare(now, &assigned, &content);
    } else if (strcmp(what, "follow") == 0) {
        fw_installation_follow(now, &assigned);
    } else if (strcmp(what, "obey") == 0) {
        return fw_installation_obey(now, (fw_phase)in->phase);
    } else if (strcmp(what, "start") == 0) {
        return fw_installation_start(now, &assigned, &content, in->attested != 0);
    } else if (strcmp(what, "boot") == 0) {
        fw_installation_boot(now);
    } else if (strcmp(what, "vote") == 0) {
        return fw_installation_vote(now, in->passed != 0);
    } else if (strcmp(what, "confirm") == 0) {
        return fw_installation_confirm(now);
    } else if (strcmp(what, "spare") == 0) {
        fw_installation_spare(now, in->erases, in->erases_under);
    } else {
        abort();
    }
    return FW_OK;
}

static uint16_t length_of(const fw_installation *now)
{
    return (uint16_t)(offsetof(fw_installation, rolled_back) + now->rolled_back_count * sizeof now->rolled_back[0]);
}

/* What `what` makes of a record: the check, and the record after it, which is as it was if it is refused. */
int bench_apply(const char *what, const uint8_t *record, uint16_t length, const bench_input *in, uint8_t *after,
                uint16_t *after_length)
{
    fw_installation now = {.format = 0};
    memcpy(&now, record, length);
    fw_check check = apply(what, &now, in);
    *after_length = length_of(&now);
    memcpy(after, &now, *after_length);
    return check;
}

/* Whether the record that is stored is one; and store it again. */
int bench_record(fw_port *port)
{
    fw_installation installation;
    return fw_installation_load(&installation, &port->ecu.store) &&
           fw_installation_store(&installation, &port->ecu.store);
}

int bench_same(const uint8_t *a, uint16_t a_length, const uint8_t *b, uint16_t b_length)
{
    fw_installation first = {.format = 0}, second = {.format = 0};
    memcpy(&first, a, a_length);
    memcpy(&second, b, b_length);
    return fw_same_installation(&first, &second);
}
