/* Installing (Uptane 2.1.0, section 5.4.3) into the other slot: erase, write, check, swap, vote, confirm or revert
 * (twin of secondary/install.py).
 *
 * What holds: each step asks installation.c for the next record, stores that, and only then acts. Power may fail
 * between any two: what boots next is decided by the record alone, and is whole.
 */
#include "ecu.h"

#include "states.h"

#include <string.h>

/* Keeps a large frame off the stack of what calls it. */
#define APART __attribute__((noinline))

typedef enum { ERASE, SPARE, WRITE, PREPARE, FOLLOW, OBEY, START, VOTE } change;

/* What a change is made by, as far as it needs more than what is held. */
typedef struct {
    const fw_content *content;
    uint32_t erases, erases_under;
    uint8_t phase;
    bool passed;
} cause;

static fw_check changed(const fw *ecu, change what, const cause *by, fw_installation *next)
{
    const fw_targets *assigned = &ecu->held.targets;
    fw_check check;
    switch (what) {
    case ERASE:
        return fw_installation_erase(next, assigned);
    case SPARE:
        fw_installation_spare(next, by->erases, by->erases_under);
        return FW_OK;
    case WRITE:
        return fw_installation_write(next);
    case PREPARE:
        return fw_installation_prepare(next, assigned, by->content);
    case FOLLOW:
        fw_installation_follow(next, assigned);
        return FW_OK;
    case OBEY:
        return fw_installation_obey(next, (fw_phase)by->phase);
    case START:
        return fw_installation_start(next, assigned, by->content, ecu->held.attested);
    case VOTE:
    default:
        check = fw_installation_vote(next, by->passed);
        /* Without a coordinator a passed test confirms the image at once, in one record. */
        return check == FW_OK && next->state == FW_VOTED && next->coordinator.scheme == FW_NO_KEY
                   ? fw_installation_confirm(next)
                   : check;
    }
}

/* Move to another record of the installation, durably first; nothing happens when it is the same. In one place, apart,
 * for a whole installation lies on the stack meanwhile. */
static APART fw_check move(fw *ecu, change what, const cause *by)
{
    fw_installation next = ecu->installation;
    fw_check check = changed(ecu, what, by, &next);
    if (check != FW_OK || fw_same_installation(&next, &ecu->installation)) {
        return check;
    }
    if (!fw_installation_store(&next, &ecu->store)) {
        return FW_STORAGE;
    }
    ecu->installation = next;
    return FW_OK;
}

/* That verified metadata that still stand assign something. */
static fw_check allowed(const fw *ecu)
{
    if (!ecu->held.targets.present) {
        return FW_LINK_UNVERIFIED;
    }
    fw_check check = fw_recheck(ecu);
    if (check == FW_OK && !ecu->held.targets.has_entry) {
        check = FW_INSTALL_NO_ENTRY;
    }
    return check;
}

static bool is_for_entry(const fw *ecu)
{
    const fw_progress *progress = &ecu->progress[fw_other(&ecu->installation)];
    return progress->present && memcmp(progress->tag, ecu->held.targets.entry.digest, FW_SHA256_LENGTH) == 0;
}

uint32_t fw_held_octets(const fw *ecu)
{
    const fw_installation *now = &ecu->installation;
    const fw_image *image = &ecu->held.targets.entry.image;
    uint8_t slot = fw_other(now);
    if (now->known[slot] && fw_same_image(&now->images[slot], image)) {
        return image->length;
    }
    return is_for_entry(ecu) ? ecu->progress[slot].next_offset : 0;
}

fw_check fw_install_erase(fw *ecu)
{
    const cause before = {.erases = ecu->installation.erases, .erases_under = ecu->installation.erases_under};
    fw_check check = allowed(ecu);
    if (check != FW_OK) {
        return check;
    }
    if (ecu->untouched && is_for_entry(ecu)) { /* erased for it already: left as it is */
        return fw_installation_may_write(&ecu->installation);
    }
    check = move(ecu, ERASE, NULL);
    if (check != FW_OK) {
        return check;
    }
    ecu->untouched = fw_slots_erase(ecu, ecu->held.targets.entry.digest);
    if (!ecu->untouched) {
        (void)move(ecu, SPARE, &before); /* it wore nothing, or what is worn already */
        return FW_STORAGE;
    }
    return FW_OK;
}

/* That the assigned image may be taken. */
static fw_check check_wanted(const fw *ecu)
{
    fw_check check = allowed(ecu);
    return check == FW_OK ? fw_installation_wanted(&ecu->installation, &ecu->held.targets) : check;
}

fw_check fw_install_begin(fw *ecu, uint32_t offset, uint32_t size)
{
    fw_check check = check_wanted(ecu);
    if (check == FW_OK) {
        check = fw_installation_may_write(&ecu->installation);
    }
    if (check != FW_OK) {
        return check;
    }
    if (!is_for_entry(ecu)) {
        return FW_LINK_SEQUENCE;
    }
    uint32_t held = ecu->progress[fw_other(&ecu->installation)].next_offset;
    if (offset != held || size != ecu->held.targets.entry.image.length - held) {
        return FW_LINK_RANGE;
    }
    check = fw_slots_resume(ecu);
    return check == FW_OK ? move(ecu, WRITE, NULL) : check;
}

fw_check fw_install_check(fw *ecu)
{
    fw_content content;
    const cause measured = {.content = &content};
    const fw_entry *entry = &ecu->held.targets.entry;
    fw_check check = check_wanted(ecu);
    if (check != FW_OK) {
        return check;
    }
    if (fw_held_octets(ecu) != entry->image.length) {
        return FW_LINK_SEQUENCE;
    }
    if (!fw_slots_sync(ecu)) { /* the end of the transfer may have been lost to a power cut */
        return FW_STORAGE;
    }
    fw_slots_hash(ecu, fw_other(&ecu->installation), entry->image.length, entry->has_sha512, &content);
    check = move(ecu, PREPARE, &measured);
    if (check == FW_INSTALL_HASH || check == FW_INSTALL_LENGTH) {
        fw_slots_forget(ecu); /* it has to be erased and written again */
    }
    return check;
}

fw_check fw_install_dependencies(fw *ecu)
{
    if (ecu->installation.state != FW_PREPARED) {
        return FW_INSTALL_STATE;
    }
    return ecu->held.attested ? fw_recheck(ecu) : FW_TIME_UNATTESTED;
}

fw_check fw_install_prepare_restart(fw *ecu)
{
    const fw_installation *now = &ecu->installation;
    fw_content content;
    const cause measured = {.content = &content};
    if (ecu->testing && fw_is_unproven(ecu)) {
        return FW_INSTALL_STATE; /* whoever could restart it now, could have it given up as unbootable */
    }
    if (now->state != FW_PREPARED || (now->last_phase != FW_ACTIVATE && now->coordinator.scheme != FW_NO_KEY)) {
        return FW_OK;
    }
    fw_check check = fw_recheck(ecu);
    if (check != FW_OK) {
        return check;
    }
    fw_slots_hash(ecu, fw_other(now), fw_other_image(now)->length, false, &content);
    return move(ecu, START, &measured);
}

static bool is_proving(uint8_t state)
{
    return state == FW_TRIAL || state == FW_VOTED || state == FW_COMMITTED;
}

bool fw_is_unproven(const fw *ecu)
{
    return is_proving(ecu->installation.state) && ecu->installation.running == fw_other(&ecu->installation);
}

bool fw_is_reverting(const fw *ecu)
{
    return !is_proving(ecu->installation.state) && ecu->installation.running != ecu->installation.home;
}

fw_check fw_install_follow(fw *ecu)
{
    return ecu->held.targets.present ? move(ecu, FOLLOW, NULL) : FW_OK;
}

/* Refusals are counted from release to release: forget them if this one is new. */
static fw_check released(fw *ecu, bool before)
{
    if (ecu->installation.state != FW_RELEASED || before || ecu->refusals.kinds == 0) {
        return FW_OK;
    }
    if (!fw_store_delete(&ecu->store, FW_RECORD_REFUSALS)) {
        return FW_STORAGE;
    }
    ecu->refusals.kinds = 0;
    return FW_OK;
}

fw_check fw_install_obey(fw *ecu, fw_phase phase)
{
    const cause order = {.phase = (uint8_t)phase};
    bool before = ecu->installation.state == FW_RELEASED;
    fw_check check = move(ecu, OBEY, &order);
    return check == FW_OK ? released(ecu, before) : check;
}

fw_check fw_install_vote(fw *ecu, bool passed, fw_check *blamed)
{
    const cause verdict = {.passed = passed};
    *blamed = FW_OK;
    if (!fw_is_unproven(ecu)) {
        return FW_OK; /* rolled back by order while the test ran */
    }
    fw_check check = move(ecu, VOTE, &verdict);
    if (check != FW_OK) {
        return check;
    }
    *blamed = ecu->installation.state == FW_IDLE ? fw_blamed(ecu->installation.outcome) : FW_OK;
    return released(ecu, false);
}
