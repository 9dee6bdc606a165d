/* The two slots: erase, write, hash, and how far a download goes (twin of secondary/install.py and shell/slots.py). */
#ifndef FW_SLOTS_H
#define FW_SLOTS_H

#include "fw.h"
#include "fw_codes.h"
#include "installation.h"

/* A slot was erased for the entry with the digest `tag`, and holds its first `next_offset` octets. */
typedef struct {
    bool present;
    uint32_t next_offset;
    uint8_t tag[FW_SHA256_LENGTH];
} fw_progress;

#endif
