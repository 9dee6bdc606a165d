/* An ECU's part in the vehicle transaction: its durable record, and what may happen to it.
 *
 * Twin of uptane/verify/installation.py: pure functions from one record to the next. FW_OK and `*next`
 * written, or a check and `*next` untouched. `now` and `next` may be the same.
 */
#ifndef FW_INSTALLATION_H
#define FW_INSTALLATION_H

#include "fw.h"
#include "fw_codes.h"
#include "trusted.h"

typedef enum { FW_IDLE, FW_PREPARED, FW_TRIAL, FW_VOTED, FW_COMMITTED, FW_RELEASED } fw_state; /* schema's EcuState */
typedef enum { FW_OUTCOME_NONE, FW_INSTALLED, FW_ROLLED_BACK, FW_SELF_TEST_FAILED, FW_UNBOOTABLE } fw_outcome;
typedef enum { FW_ACTIVATE, FW_COMMIT, FW_ROLL_BACK, FW_RELEASE, FW_NO_PHASE = 0xFF } fw_phase;

typedef struct {
    uint8_t bundle[FW_BUNDLE_LENGTH];
    uint32_t targets_version;
} fw_tried;

typedef struct {
    uint8_t state, outcome, home, running, last_phase;
    bool has_bundle;
    bool known[2];             /* whether `images` says what the slot holds */
    uint8_t rolled_back_count;
    uint32_t targets_version, released_counter, boots, erases, erases_under;
    uint8_t bundle[FW_BUNDLE_LENGTH];
    fw_key coordinator;        /* scheme FW_NO_KEY: none */
    fw_image images[2];
    fw_tried rolled_back[FW_ROLLED_BACK_MAX]; /* oldest first */
} fw_installation;

/* What a slot holds, as just measured. */
typedef struct {
    uint32_t length;
    uint8_t sha256[FW_SHA256_LENGTH];
    bool has_sha512;
    uint8_t sha512[FW_SHA512_LENGTH];
} fw_content;

static inline uint8_t fw_other(const fw_installation *now) { return (uint8_t)(1u - now->home); }
static inline const fw_image *fw_running_image(const fw_installation *now) { return &now->images[now->running]; }

/* Whether two known images, or two records, are the same. */
bool fw_same_image(const fw_image *a, const fw_image *b);
bool fw_same_installation(const fw_installation *a, const fw_installation *b);

void fw_installation_factory(fw_installation *made, const fw_image *image);
fw_check fw_installation_wanted(const fw_installation *now, const fw_targets *assigned);
fw_check fw_installation_erase(const fw_installation *now, const fw_targets *assigned, fw_installation *next);
void fw_installation_spare(fw_installation *now, uint32_t erases, uint32_t erases_under);
fw_check fw_installation_write(const fw_installation *now, fw_installation *next);
fw_check fw_installation_prepare(const fw_installation *now, const fw_targets *assigned, const fw_content *content,
                                 fw_installation *next);
void fw_installation_follow(const fw_installation *now, const fw_targets *assigned, fw_installation *next);
fw_check fw_installation_obey(const fw_installation *now, fw_phase phase, fw_installation *next);
fw_check fw_installation_start(const fw_installation *now, const fw_targets *assigned, const fw_content *content,
                               bool attested, fw_installation *next);
uint8_t fw_installation_boot(const fw_installation *now, fw_installation *next); /* the slot to boot */
fw_check fw_installation_vote(const fw_installation *now, bool passed, fw_installation *next);
fw_check fw_installation_confirm(const fw_installation *now, fw_installation *next);

/* As a durable record (record.c; twin of uptane/verify/record.py): a format number first, then fields.
 *
 * Octets of this format are read whatever stands behind them, so that newer software may add fields; a newer format may
 * be written only once the software that writes it is released, and what is on trial writes this one. */
#define FW_INSTALLATION_RECORD_MAX (27u + FW_BUNDLE_LENGTH + 3u + FW_KEY_MAX + \
                                    2u * (1u + FW_FILENAME_MAX + 8u + FW_SHA256_LENGTH) + \
                                    FW_ROLLED_BACK_MAX * (FW_BUNDLE_LENGTH + 4u) + 32u)
bool fw_installation_load(fw_installation *installation, const uint8_t *octets, uint16_t length);
uint16_t fw_installation_dump(const fw_installation *installation, uint8_t octets[FW_INSTALLATION_RECORD_MAX]);

#endif
