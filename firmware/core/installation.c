/* An ECU's part in the vehicle transaction (twin of uptane/verify/installation.py and, for content, image.py).
 *
 *     idle -> prepared -> trial -> voted -> committed -> released
 *
 * What holds: every function judges first and writes last, so a refusal leaves the record as it was. No boot decision
 * consults time. Whoever calls makes the next record durable before acting by it.
 */
#include "states.h"

#include <string.h>

static bool same_bundle(const fw_installation *now, const fw_targets *assigned)
{
    return now->has_bundle && memcmp(now->bundle, assigned->bundle, FW_BUNDLE_LENGTH) == 0;
}

static bool is_running_new(uint8_t state)
{
    return state == FW_TRIAL || state == FW_VOTED || state == FW_COMMITTED;
}

/* After a vote of no, or an order to roll back, the new image runs on until the reset. */
static bool is_other_free(const fw_installation *now)
{
    return now->running != fw_other(now);
}

static bool holds(const fw_installation *now, uint8_t slot, const fw_image *image)
{
    return now->known[slot] && fw_same_image(&now->images[slot], image);
}

/* Whatever the other slot held is known no more. */
static void forget(fw_installation *now)
{
    now->known[fw_other(now)] = false;
    memset(&now->images[fw_other(now)], 0, sizeof now->images[0]);
}

static void release(fw_installation *now)
{
    uint32_t counter = fw_other_image(now)->release_counter;
    now->state = FW_RELEASED;
    now->home = fw_other(now);
    now->released_counter = counter > now->released_counter ? counter : now->released_counter;
    now->boots = 0;
}

/* Back to the released software, at the next boot. This bundle is not tried again under these Targets. */
static void revert(fw_installation *now, uint8_t outcome)
{
    fw_tried pair = {.targets_version = now->targets_version};
    memcpy(pair.bundle, now->bundle, FW_BUNDLE_LENGTH);
    uint8_t kept = 0;
    for (uint8_t i = 0; i < now->rolled_back_count; i++) {
        if (memcmp(&now->rolled_back[i], &pair, sizeof pair) != 0) {
            now->rolled_back[kept++] = now->rolled_back[i];
        }
    }
    if (kept == FW_ROLLED_BACK_MAX) {
        memmove(&now->rolled_back[0], &now->rolled_back[1], (FW_ROLLED_BACK_MAX - 1) * sizeof pair);
        kept--;
    }
    now->rolled_back[kept++] = pair;
    now->rolled_back_count = kept;
    now->state = FW_IDLE;
    now->outcome = outcome;
    now->boots = 0;
}

void fw_installation_factory(fw_installation *made, const fw_image *image)
{
    memset(made, 0, sizeof *made);
    made->format = FW_INSTALLATION_FORMAT;
    made->last_phase = FW_NO_PHASE;
    made->coordinator.scheme = FW_NO_KEY;
    made->known[0] = true;
    made->images[0] = *image;
    made->released_counter = image->release_counter;
}

fw_check fw_installation_wanted(const fw_installation *now, const fw_targets *assigned)
{
    const fw_image *image = &assigned->entry.image;
    if (!assigned->has_entry) {
        return FW_INSTALL_NO_ENTRY;
    }
    if (image->release_counter < now->released_counter) {
        return FW_INSTALL_COUNTER;
    }
    for (uint8_t i = 0; i < now->rolled_back_count; i++) {
        const fw_tried *tried = &now->rolled_back[i];
        if (tried->targets_version == assigned->version &&
            memcmp(tried->bundle, assigned->bundle, FW_BUNDLE_LENGTH) == 0) {
            return FW_INSTALL_RETRIED;
        }
    }
    return holds(now, now->home, image) ? FW_INSTALL_STATE : FW_OK; /* this image runs already */
}

static fw_check check_free(const fw_installation *now, fw_event event)
{
    return fw_next_state(now->state, event) != FW_NO_STATE && is_other_free(now) ? FW_OK : FW_INSTALL_STATE;
}

fw_check fw_installation_erase(fw_installation *now, const fw_targets *assigned)
{
    uint32_t spent = now->erases_under == assigned->version ? now->erases : 0;
    fw_check check = fw_installation_wanted(now, assigned);
    if (check == FW_OK) {
        check = check_free(now, FW_EVENT_ERASE);
    }
    if (check == FW_OK && (holds(now, fw_other(now), &assigned->entry.image) || spent >= FW_ERASES_PER_TARGETS_MAX)) {
        check = FW_INSTALL_ERASES;
    }
    if (check == FW_OK) {
        forget(now);
        now->erases = spent + 1;
        now->erases_under = assigned->version;
    }
    return check;
}

/* The erase was refused by storage: it does not count. */
void fw_installation_spare(fw_installation *now, uint32_t erases, uint32_t erases_under)
{
    now->erases = erases;
    now->erases_under = erases_under;
}

fw_check fw_installation_may_write(const fw_installation *now)
{
    return check_free(now, FW_EVENT_WRITE);
}

fw_check fw_installation_write(fw_installation *now)
{
    fw_check check = fw_installation_may_write(now);
    if (check == FW_OK) {
        forget(now);
    }
    return check;
}

/* Refuse octets that are not the ones of the entry's image. Every listed hash has to match. */
static fw_check check_content(const fw_entry *entry, const fw_content *content)
{
    if (content->length != entry->image.length) {
        return FW_INSTALL_LENGTH;
    }
    if (memcmp(content->sha256, entry->image.sha256, FW_SHA256_LENGTH) != 0) {
        return FW_INSTALL_HASH;
    }
    if (entry->has_sha512 && (!content->has_sha512 || memcmp(content->sha512, entry->sha512, FW_SHA512_LENGTH) != 0)) {
        return FW_INSTALL_HASH;
    }
    return FW_OK;
}

/* Of these very Targets from now on; which phase comes next, if any was given, is another matter. */
static void bind(fw_installation *now, const fw_targets *assigned)
{
    now->targets_version = assigned->version;
    now->coordinator = assigned->coordinator;
}

fw_check fw_installation_prepare(fw_installation *now, const fw_targets *assigned, const fw_content *content)
{
    bool again = now->state == FW_PREPARED;
    if (fw_next_state(now->state, FW_EVENT_PREPARE) == FW_NO_STATE ||
        (again && !(same_bundle(now, assigned) && now->targets_version == assigned->version))) {
        return FW_INSTALL_STATE;
    }
    fw_check check = fw_installation_wanted(now, assigned);
    if (check == FW_OK) {
        check = check_free(now, FW_EVENT_PREPARE);
    }
    if (check == FW_OK) {
        check = check_content(&assigned->entry, content);
    }
    if (check != FW_OK) {
        return check;
    }
    now->known[fw_other(now)] = true;
    now->images[fw_other(now)] = assigned->entry.image;
    if (!again) {
        now->state = FW_PREPARED;
        now->outcome = FW_OUTCOME_NONE;
        now->has_bundle = true;
        memcpy(now->bundle, assigned->bundle, FW_BUNDLE_LENGTH);
        now->last_phase = FW_NO_PHASE;
        now->boots = 0;
        bind(now, assigned);
    }
    return FW_OK;
}

/* Bound to the newer Targets when the bundle is the same, cancelled when it is not; only while nobody ordered to
 * activate. */
void fw_installation_follow(fw_installation *now, const fw_targets *assigned)
{
    if (now->state != FW_PREPARED || now->last_phase != FW_NO_PHASE) {
        return;
    }
    if (same_bundle(now, assigned)) {
        /* A rotation may have brought a lower version: bound to the higher one, the ECU would take nobody's orders. */
        bind(now, assigned);
        return;
    }
    now->state = FW_IDLE;
    now->has_bundle = false;
    memset(now->bundle, 0, FW_BUNDLE_LENGTH);
    now->targets_version = 0;
    memset(&now->coordinator, 0, sizeof now->coordinator);
    now->coordinator.scheme = FW_NO_KEY;
}

/* The order is verified, for this very bundle. The latest one again changes nothing: a lost reply wedges nobody. */
fw_check fw_installation_obey(fw_installation *now, fw_phase phase)
{
    if (phase == (fw_phase)now->last_phase) {
        return FW_OK;
    }
    if (!fw_may_follow(now->last_phase, phase)) {
        return FW_ORDER_PHASE;
    }
    uint8_t state = fw_next_state(now->state, (fw_event)((uint8_t)FW_EVENT_ORDER_ACTIVATE + (uint8_t)phase));
    if (state == FW_NO_STATE) {
        return FW_INSTALL_STATE;
    }
    now->last_phase = (uint8_t)phase;
    if (phase == FW_RELEASE) {
        release(now);
    } else if (phase == FW_ROLL_BACK) {
        revert(now, now->state == FW_IDLE ? now->outcome : (uint8_t)FW_ROLLED_BACK);
    } else {
        now->state = state;
        now->outcome = phase == FW_COMMIT ? (uint8_t)FW_INSTALLED : now->outcome;
    }
    return FW_OK;
}

fw_check
fw_installation_start(fw_installation *now, const fw_targets *assigned, const fw_content *content, bool attested)
{
    if (fw_next_state(now->state, FW_EVENT_START) == FW_NO_STATE) {
        return FW_INSTALL_STATE;
    }
    if (!attested) {
        return FW_TIME_UNATTESTED;
    }
    /* Once ordered, other ECUs may be on trial already: newer Targets wait until the transaction has ended. */
    if (now->last_phase != FW_ACTIVATE && (now->coordinator.scheme != FW_NO_KEY || !same_bundle(now, assigned))) {
        return FW_INSTALL_STATE;
    }
    const fw_image *image = fw_other_image(now);
    if (content->length != image->length || memcmp(content->sha256, image->sha256, FW_SHA256_LENGTH) != 0) {
        return FW_INSTALL_HASH; /* the slot has changed since it was prepared */
    }
    now->state = FW_TRIAL;
    now->boots = 0;
    return FW_OK;
}

static fw_event boot_event(const fw_installation *now)
{
    if (now->state == FW_TRIAL && now->boots == 0) {
        return FW_EVENT_FIRST_BOOT;
    }
    bool confirmed_once = now->state == FW_VOTED || now->state == FW_COMMITTED;
    return confirmed_once && now->boots >= FW_BOOT_ATTEMPTS_MAX ? FW_EVENT_FALL_BACK : FW_EVENT_BOOT;
}

void fw_installation_boot(fw_installation *now)
{
    fw_event event = boot_event(now);
    uint8_t state = fw_next_state(now->state, event);
    if (is_running_new(state)) {
        now->running = fw_other(now);
        now->boots++;
    } else {
        if (is_running_new(now->state)) {
            revert(now, event == FW_EVENT_FALL_BACK ? FW_UNBOOTABLE : FW_ROLLED_BACK);
        }
        now->running = now->home;
    }
    now->state = state;
}

/* Once voted, a passed test says that the image came up; a failed one is counted by the next boots. */
fw_check fw_installation_vote(fw_installation *now, bool passed)
{
    uint8_t state = fw_next_state(now->state, passed ? FW_EVENT_PASSED : FW_EVENT_FAILED);
    if (state == FW_NO_STATE || is_other_free(now)) {
        return FW_INSTALL_STATE;
    }
    if (state == FW_IDLE) {
        revert(now, FW_SELF_TEST_FAILED);
        return FW_OK;
    }
    now->state = state;
    now->boots = passed ? 0 : now->boots;
    return FW_OK;
}

fw_check fw_installation_confirm(fw_installation *now)
{
    if (fw_next_state(now->state, FW_EVENT_CONFIRM) == FW_NO_STATE || now->coordinator.scheme != FW_NO_KEY) {
        return FW_INSTALL_STATE;
    }
    now->outcome = FW_INSTALLED;
    release(now);
    return FW_OK;
}
