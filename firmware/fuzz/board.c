/* The board of all fuzz targets (fuzz.h). */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define FACTS_MAX 65536u

static uint8_t facts[FACTS_MAX];
static uint32_t facts_length;
static fw_port *board;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char FLAG[] = "--facts=";
    for (int i = 1; i < *argc; i++) {
        if (strncmp((*argv)[i], FLAG, sizeof FLAG - 1) == 0) {
            FILE *file = fopen((*argv)[i] + sizeof FLAG - 1, "rb");
            if (file != NULL) {
                facts_length = (uint32_t)fread(facts, 1, sizeof facts, file);
                fclose(file);
            }
        }
    }
    if (facts_length == 0) {
        fprintf(stderr, "fuzz: --facts=FILE names the facts of an ECU\n");
        exit(2);
    }
    return 0;
}

const uint8_t *fuzz_facts(uint32_t *length)
{
    *length = facts_length;
    return facts;
}

fw_port *fuzz_board(void)
{
    static uint8_t blank[FUZZ_STATE];
    if (board == NULL) {
        memset(blank, 0xFF, sizeof blank);
        board = fw_host_create(facts, facts_length, FUZZ_PAGE, FUZZ_UNIT, FUZZ_SLOT, FUZZ_STATE);
        if (board == NULL) {
            fuzz_found("these are no facts");
        }
    }
    fw_host_load(board, FW_AREA_SLOT_0, blank, FUZZ_SLOT);
    fw_host_load(board, FW_AREA_SLOT_1, blank, FUZZ_SLOT);
    fw_host_load(board, FW_AREA_STATE, blank, FUZZ_STATE);
    fw_host_clear(board);
    fw_host_interlock(board, FW_SAFE);
    fw_host_cut(board, UINT64_MAX);
    return board;
}

void fuzz_found(const char *what)
{
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}
