/* What the fuzz targets share: a board in memory with the facts of an ECU, and an input that is read piece by piece.
 *
 * A target is started as `fuzz_NAME --facts=FILE CORPUS...`; the facts are written by firmware/tools/facts.py.
 * Signatures are not computed here (signed.c): what a fuzzer invents would never pass, and nothing behind them would be
 * tried.
 */
#ifndef FW_FUZZ_H
#define FW_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "host.h"

#define FUZZ_PAGE 1024u
#define FUZZ_UNIT 8u
#define FUZZ_SLOT 8192u
#define FUZZ_STATE 16384u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A board without power whose flash is blank; it is the same one each time. */
fw_port *fuzz_board(void);
/* The facts that were given. */
const uint8_t *fuzz_facts(uint32_t *length);
/* End with a message that the fuzzer keeps the input of. */
_Noreturn void fuzz_found(const char *what);

typedef struct {
    const uint8_t *data;
    size_t left;
} fuzz_input;

static inline uint8_t fuzz_octet(fuzz_input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->data++;
}

/* The next octets, at most `length`: where they are, and in `*taken` how many. */
static inline const uint8_t *fuzz_octets(fuzz_input *input, size_t length, uint32_t *taken)
{
    const uint8_t *octets = input->data;
    size_t there = length < input->left ? length : input->left;
    input->data += there;
    input->left -= there;
    *taken = (uint32_t)there;
    return octets;
}

#endif
