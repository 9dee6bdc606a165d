/* An ECU's part in the vehicle transaction: its durable record, and what may happen to it.
 *
 * Twin of uptane/verify/installation.py: each function makes the next record of the present one, or returns a check and
 * leaves it as it was.
 */
#ifndef FW_INSTALLATION_H
#define FW_INSTALLATION_H

#include "fw.h"
#include "fw_codes.h"
#include "store.h"
#include "trusted.h"

#define FW_INSTALLATION_FORMAT 1u

typedef enum { FW_IDLE, FW_PREPARED, FW_TRIAL, FW_VOTED, FW_COMMITTED, FW_RELEASED } fw_state; /* schema's EcuState */
typedef enum { FW_OUTCOME_NONE, FW_INSTALLED, FW_ROLLED_BACK, FW_SELF_TEST_FAILED, FW_UNBOOTABLE } fw_outcome;
typedef enum { FW_ACTIVATE, FW_COMMIT, FW_ROLL_BACK, FW_RELEASE, FW_NO_PHASE = 0xFF } fw_phase;

typedef struct {
    uint8_t bundle[FW_BUNDLE_LENGTH];
    uint32_t targets_version;
} fw_tried;

/* What is not said of an image or a key is zeros, so that the same record is the same octets. */
typedef struct {
    uint8_t format, state, outcome, home, running, last_phase;
    uint8_t has_bundle;
    uint8_t known[2]; /* whether `images` says what the slot holds */
    uint8_t rolled_back_count;
    uint32_t targets_version, released_counter, boots, erases, erases_under;
    uint8_t bundle[FW_BUNDLE_LENGTH];
    fw_key coordinator; /* scheme FW_NO_KEY: none */
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

static inline uint8_t fw_other(const fw_installation *now)
{
    return (uint8_t)(1u - now->home);
}
static inline const fw_image *fw_running_image(const fw_installation *now)
{
    return &now->images[now->running];
}

static inline const fw_image *fw_other_image(const fw_installation *now)
{
    return &now->images[fw_other(now)];
}

bool fw_same_image(const fw_image *a, const fw_image *b);

void fw_installation_factory(fw_installation *made, const fw_image *image);
fw_check fw_installation_wanted(const fw_installation *now, const fw_targets *assigned);
fw_check fw_installation_erase(fw_installation *now, const fw_targets *assigned);
void fw_installation_spare(fw_installation *now, uint32_t erases, uint32_t erases_under);
fw_check fw_installation_may_write(const fw_installation *now);
fw_check fw_installation_write(fw_installation *now);
fw_check fw_installation_prepare(fw_installation *now, const fw_targets *assigned, const fw_content *content);
void fw_installation_follow(fw_installation *now, const fw_targets *assigned);
fw_check fw_installation_obey(fw_installation *now, fw_phase phase);
fw_check
fw_installation_start(fw_installation *now, const fw_targets *assigned, const fw_content *content, bool attested);
void fw_installation_boot(fw_installation *now); /* `running` is the slot to boot */
fw_check fw_installation_vote(fw_installation *now, bool passed);
fw_check fw_installation_confirm(fw_installation *now);

/* As a durable record (record.c; twin of uptane/verify/record.py): its first octets, as they lie in memory.
 *
 * Octets of this format are read whatever stands behind them, so that newer software may add fields; a newer format may
 * be written only once the software that writes it is released, and what is on trial writes this one. */
bool fw_installation_load(fw_installation *installation, const fw_store *store);
bool fw_installation_store(const fw_installation *installation, fw_store *store);
bool fw_same_installation(const fw_installation *a, const fw_installation *b);

#endif
