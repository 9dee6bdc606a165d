/* The two slots: erase, write, hash, and how far a download goes (twin of secondary/shell/slots.py).
 *
 * What is written comes in any pieces; flash takes whole units, each once. So the octets behind the last whole unit
 * wait here, until more come or the image has ended. How far a download goes is recorded at every FW_PROGRESS_STEP and
 * at its end, after the octets are there: the record never says too much. What lies behind it after a power cut is
 * erased, page by page, before it is written again.
 */
#ifndef FW_SLOTS_H
#define FW_SLOTS_H

#include "fw.h"
#include "fw_codes.h"
#include "installation.h"
#include "store.h"

#define FW_RESUMES_MAX 64u     /* power-ups within one download; with 4 erases each page is erased 260 times at most */
#define FW_PROGRESS_STEP 4096u /* 60 octets of log for as much; a power cut costs it, or a page if longer */

/* A slot was erased for the entry with the digest `tag`, and holds its first `next_offset` octets. What stands before
 * `present` is the slot's record, as it lies in memory. */
typedef struct {
    uint8_t format;
    uint8_t resumed; /* power-ups after which the download went on */
    uint32_t next_offset;
    uint8_t tag[FW_SHA256_LENGTH];
    bool present;
} fw_progress;

/* The end of the download under way into the other slot. */
typedef struct {
    uint32_t recorded; /* octets that the durable record tells of */
    uint32_t suspect;  /* pages that begin before this may hold what a power cut or a worn page left */
    bool going_on;     /* it went on in this power cycle, which is counted */
    fw_pen pen;        /* its area is the slot it is of: a release makes the other one the other */
} fw_download;

/* At power-up, when the installation is known: how far each slot's download goes. */
void fw_slots_load(fw *ecu);

/* Before the download goes on. After a power-up it erases a page or two: whoever can restart us could wear them out, so
 * FW_RESUMES_MAX times are all there are before the slot has to be erased anew, which is limited too. */
fw_check fw_slots_resume(fw *ecu);

/* Erase the other slot whole, for the entry `tag`. False: it could not be; it has to be erased again. */
bool fw_slots_erase(fw *ecu, const uint8_t tag[FW_SHA256_LENGTH]);

/* Append to the download into the other slot. False: it was refused; the download goes on where its page begins. */
bool fw_slots_write(fw *ecu, const uint8_t *octets, uint16_t length);

/* The image has ended: make all of it durable, and how far it goes. False: as fw_slots_write. */
bool fw_slots_sync(fw *ecu);

/* Forget the download into the other slot, until the next erase; its record stands until then, as in Python. */
void fw_slots_forget(fw *ecu);

/* Read the first `length` octets of a slot. */
void fw_slots_hash(fw *ecu, uint8_t slot, uint32_t length, bool with_sha512, fw_content *content);

#endif
