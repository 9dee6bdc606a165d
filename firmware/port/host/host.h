/* The host port: a board in memory, for tests, the simulator and fuzzing; used from Python by ctypes
 * (sim/firmware_chip.py).
 *
 * What holds: flash keeps NOR's rules (whole pages are erased, whole units programmed, each once after an erase), and
 * a core that breaks one is refused and it is counted (fw_host_abuses). Power may be told to fail at any flash
 * operation: what was being written is torn by a seeded pattern, and the fw_ function is left at once. Pages wear
 * out, or areas fail, when told to. What the core does is written into a log, in order.
 */
#ifndef FW_HOST_H
#define FW_HOST_H

#include <setjmp.h>
#include <string.h>

#include "fw.h"
#include "fw_port.h"
#include "state.h"

/* ------------------------------------------------------------------------------------------------------ the log */

/* An entry is four words of 32 bits as the machine has them - kind, a, b, length - and then `length` octets. */
typedef enum {
    FW_NOTE_ERASE = 1,     /* a: area, b: offset of the page */
    FW_NOTE_WRITE = 2,     /* a: area, b: offset; octets */
    FW_NOTE_FRAME = 3,     /* a: identifier, b: 1 for CAN FD; octets */
    FW_NOTE_TRAFFIC = 4,   /* a: messages, b: faults */
    FW_NOTE_SELF_TEST = 5, /* a: slot */
    FW_NOTE_RESTART = 6,
    FW_NOTE_TASK = 7, /* from here to DELETED: witness.c */
    FW_NOTE_DONE = 8,
    FW_NOTE_STORING = 9,
    FW_NOTE_STORED = 10,
    FW_NOTE_DELETING = 11,
    FW_NOTE_DELETED = 12,
    FW_NOTE_READ = 13,  /* a: area, a slot, b: offset; octets: a word, how many; reads in a row are one entry */
    FW_NOTE_FAILED = 14 /* a: area, b: offset: flash did not do as told */
} fw_note;

void fw_host_note(fw_port *port, uint32_t kind, uint32_t a, uint32_t b, const void *octets, uint32_t length);
void fw_host_note_read(fw_port *port, uint32_t area, uint32_t offset, uint32_t length);
uint32_t fw_host_log(const fw_port *port, const uint8_t **octets);
void fw_host_clear(fw_port *port);

/* ----------------------------------------------------------------------------------------------------- the board */

#define FW_HOST_AREAS 3u

typedef struct {
    uint8_t *octets;
    uint8_t *programmed; /* one per unit */
    uint32_t *erases;    /* one per page */
    uint32_t size;
    bool erases_fail, writes_fail;
} fw_host_flash;

struct fw_port {
    fw_geometry geometry;
    fw_host_flash flash[FW_HOST_AREAS];
    uint32_t endurance; /* erases that a page stands; 0: any number */
    uint64_t dice;
    uint64_t operations; /* of flash, ever: pages erased and writes */
    uint64_t cut_at;     /* power fails during this one; 0: never */
    uint32_t abuses;
    uint8_t *log;
    size_t log_length, log_max;
    size_t log_read; /* where an entry of a read begins that may go on, plus one; 0: none */
    fw_interlock interlock;
    uint64_t now, breath; /* instant; how far it goes on with every breath */
    uint32_t room;        /* frames that the bus takes now; UINT32_MAX: any number */
    bool running;         /* `power` says where to go when power fails */
    jmp_buf power;
    uint8_t *facts_octets;
    fw_facts facts;
    fw ecu;
};

/* Made with facts as firmware/tools/facts.py writes them; NULL: they are none. */
fw_port *fw_host_create(
    const uint8_t *facts, uint32_t length, uint32_t page, uint32_t unit, uint32_t slot_size, uint32_t state_size);
void fw_host_destroy(fw_port *port);
fw *fw_host_ecu(fw_port *port);
fw_facts *fw_host_facts(fw_port *port);
uint32_t fw_host_sizeof(const char *what);

/* Events. Power failed meanwhile: -1 or false; then only what begins anew makes sense. */
int fw_host_choose(fw_port *port); /* as a boot stub: the slot, -1, or -2 - fw_start when nothing is to run */
int fw_host_power_up(fw_port *port, uint64_t now); /* a fw_start; the core chooses the slot itself */
int fw_host_power_up_as(fw_port *port, int booted, uint64_t now);
bool fw_host_heard(fw_port *port, uint32_t id, const uint8_t *data, uint8_t length, bool fd, uint64_t now);
bool fw_host_tick(fw_port *port, uint64_t now);
bool fw_host_tested(fw_port *port, int verdict, uint64_t now);
uint64_t fw_host_deadline(const fw_port *port);

/* One operation of the flash by itself: 1 done, 0 refused or failed, -1 power failed. */
int fw_host_try_erase(fw_port *port, uint8_t area, uint32_t offset);
int fw_host_try_write(fw_port *port, uint8_t area, uint32_t offset, const uint8_t *octets, uint32_t length);

/* Surroundings. */
void fw_host_interlock(fw_port *port, int word);
void fw_host_breath(fw_port *port, uint64_t milliseconds);
void fw_host_room(fw_port *port, uint32_t frames);

/* Flash. */
bool fw_host_flash_make(fw_port *port);
void fw_host_flash_free(fw_port *port);
void fw_host_seed(fw_port *port, uint64_t seed);
void fw_host_cut(fw_port *port, uint64_t after); /* at the operation that comes after so many; UINT64_MAX: never */
void fw_host_fail(fw_port *port, uint8_t area, bool erases, bool writes);
void fw_host_endure(fw_port *port, uint32_t erases);
uint64_t fw_host_operations(const fw_port *port);
uint32_t fw_host_abuses(const fw_port *port);
uint32_t fw_host_erases(const fw_port *port, uint8_t area, uint32_t page);
void fw_host_read(const fw_port *port, uint8_t area, uint32_t offset, uint8_t *octets, uint32_t length);
void fw_host_load(fw_port *port, uint8_t area, const uint8_t *octets, uint32_t length); /* units of FF are blank */
void fw_host_damage(fw_port *port, uint8_t area, uint32_t offset, uint8_t flip);        /* bits of one octet */
uint32_t fw_host_size(const fw_port *port);
void fw_host_save(const fw_port *port, uint8_t *snapshot);
void fw_host_restore(fw_port *port, const uint8_t *snapshot);

#endif
