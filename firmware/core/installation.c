/* An ECU's part in the vehicle transaction (twin of uptane/verify/installation.py and, for content, image.py).
 *
 *     idle -> prepared -> trial -> voted -> committed -> released
 *
 * What holds: every function judges first and writes `*next` last, so a refusal leaves it as it was, and `now` and
 * `next` may be one. No boot decision consults time. Whoever calls makes the next record durable before acting by it.
 */
#include "states.h"

#include <string.h>

static void copy(fw_installation *next, const fw_installation *now)
{
    if (next != now) {
        *next = *now;
    }
}

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

static void forget(fw_installation *next)
{
    uint8_t slot = fw_other(next);
    next->known[slot] = false;
    memset(&next->images[slot], 0, sizeof next->images[slot]);
}

static void release(fw_installation *next)
{
    uint32_t counter = next->images[fw_other(next)].release_counter;
    next->state = FW_RELEASED;
    next->home = fw_other(next);
    next->released_counter = counter > next->released_counter ? counter : next->released_counter;
    next->boots = 0;
}

/* Back to the released software, at the next boot. This bundle is not tried again under these Targets. */
static void revert(fw_installation *next, uint8_t outcome)
{
    fw_tried pair = {.targets_version = next->targets_version};
    memcpy(pair.bundle, next->bundle, FW_BUNDLE_LENGTH);
    uint8_t kept = 0;
    for (uint8_t i = 0; i < next->rolled_back_count; i++) {
        if (memcmp(&next->rolled_back[i], &pair, sizeof pair) != 0) {
            next->rolled_back[kept++] = next->rolled_back[i];
        }
    }
    if (kept == FW_ROLLED_BACK_MAX) {
        memmove(&next->rolled_back[0], &next->rolled_back[1], (FW_ROLLED_BACK_MAX - 1) * sizeof pair);
        kept--;
    }
    next->rolled_back[kept++] = pair;
    next->rolled_back_count = kept;
    next->state = FW_IDLE;
    next->outcome = outcome;
    next->boots = 0;
}

void fw_installation_factory(fw_installation *made, const fw_image *image)
{
    memset(made, 0, sizeof *made);
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

fw_check fw_installation_erase(const fw_installation *now, const fw_targets *assigned, fw_installation *next)
{
    fw_check check = fw_installation_wanted(now, assigned);
    if (check != FW_OK) {
        return check;
    }
    uint8_t state = fw_next_state(now->state, FW_EVENT_ERASE);
    if (state == FW_NO_STATE || !is_other_free(now)) {
        return FW_INSTALL_STATE;
    }
    uint32_t spent = now->erases_under == assigned->version ? now->erases : 0;
    if (holds(now, fw_other(now), &assigned->entry.image) || spent >= FW_ERASES_PER_TARGETS_MAX) {
        return FW_INSTALL_ERASES;
    }
    copy(next, now);
    forget(next);
    next->state = state;
    next->erases = spent + 1;
    next->erases_under = assigned->version;
    return FW_OK;
}

void fw_installation_spare(fw_installation *now, uint32_t erases, uint32_t erases_under)
{
    now->erases = erases;
    now->erases_under = erases_under;
}

fw_check fw_installation_write(const fw_installation *now, fw_installation *next)
{
    uint8_t state = fw_next_state(now->state, FW_EVENT_WRITE);
    if (state == FW_NO_STATE || !is_other_free(now)) {
        return FW_INSTALL_STATE;
    }
    copy(next, now);
    forget(next);
    next->state = state;
    return FW_OK;
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
    if (entry->has_sha512 &&
        (!content->has_sha512 || memcmp(content->sha512, entry->sha512, FW_SHA512_LENGTH) != 0)) {
        return FW_INSTALL_HASH;
    }
    return FW_OK;
}

fw_check fw_installation_prepare(const fw_installation *now, const fw_targets *assigned, const fw_content *content,
                                 fw_installation *next)
{
    uint8_t state = fw_next_state(now->state, FW_EVENT_PREPARE);
    bool again = now->state == FW_PREPARED;
    if (state == FW_NO_STATE || (again && !(same_bundle(now, assigned) && now->targets_version == assigned->version))) {
        return FW_INSTALL_STATE;
    }
    fw_check check = fw_installation_wanted(now, assigned);
    if (check != FW_OK) {
        return check;
    }
    if (!is_other_free(now)) {
        return FW_INSTALL_STATE;
    }
    check = check_content(&assigned->entry, content);
    if (check != FW_OK) {
        return check;
    }
    copy(next, now);
    next->known[fw_other(next)] = true;
    next->images[fw_other(next)] = assigned->entry.image;
    if (!again) {
        next->state = state;
        next->outcome = FW_OUTCOME_NONE;
        next->has_bundle = true;
        memcpy(next->bundle, assigned->bundle, FW_BUNDLE_LENGTH);
        next->targets_version = assigned->version;
        next->coordinator = assigned->coordinator;
        next->last_phase = FW_NO_PHASE;
        next->boots = 0;
    }
    return FW_OK;
}

/* Bound to the newer Targets when the bundle is the same, cancelled when it is not; only while nobody ordered to
 * activate. */
void fw_installation_follow(const fw_installation *now, const fw_targets *assigned, fw_installation *next)
{
    copy(next, now);
    if (next->state != FW_PREPARED || next->last_phase != FW_NO_PHASE) {
        return;
    }
    if (same_bundle(next, assigned)) {
        /* A rotation may have brought a lower version: bound to the higher one, the ECU would take nobody's orders. */
        next->targets_version = assigned->version;
        next->coordinator = assigned->coordinator;
        return;
    }
    next->state = FW_IDLE;
    next->has_bundle = false;
    memset(next->bundle, 0, FW_BUNDLE_LENGTH);
    next->targets_version = 0;
    memset(&next->coordinator, 0, sizeof next->coordinator);
    next->coordinator.scheme = FW_NO_KEY;
}

/* The order is verified, for this very bundle. The latest one again changes nothing: a lost reply wedges nobody. */
fw_check fw_installation_obey(const fw_installation *now, fw_phase phase, fw_installation *next)
{
    if (phase == (fw_phase)now->last_phase) {
        copy(next, now);
        return FW_OK;
    }
    if (!fw_may_follow(now->last_phase, phase)) {
        return FW_ORDER_PHASE;
    }
    uint8_t state = fw_next_state(now->state, (fw_event)((uint8_t)FW_EVENT_ORDER_ACTIVATE + (uint8_t)phase));
    if (state == FW_NO_STATE) {
        return FW_INSTALL_STATE;
    }
    copy(next, now);
    next->last_phase = (uint8_t)phase;
    if (phase == FW_RELEASE) {
        release(next);
    } else if (phase == FW_ROLL_BACK) {
        revert(next, next->state == FW_IDLE ? next->outcome : (uint8_t)FW_ROLLED_BACK);
    } else {
        next->state = state;
        next->outcome = phase == FW_COMMIT ? (uint8_t)FW_INSTALLED : next->outcome;
    }
    return FW_OK;
}

fw_check fw_installation_start(const fw_installation *now, const fw_targets *assigned, const fw_content *content,
                               bool attested, fw_installation *next)
{
    uint8_t state = fw_next_state(now->state, FW_EVENT_START);
    if (state == FW_NO_STATE) {
        return FW_INSTALL_STATE;
    }
    if (!attested) {
        return FW_TIME_UNATTESTED;
    }
    /* Once ordered, other ECUs may be on trial already: newer Targets wait until the transaction has ended. */
    if (now->last_phase != FW_ACTIVATE && (now->coordinator.scheme != FW_NO_KEY || !same_bundle(now, assigned))) {
        return FW_INSTALL_STATE;
    }
    const fw_image *image = &now->images[fw_other(now)];
    if (content->length != image->length || memcmp(content->sha256, image->sha256, FW_SHA256_LENGTH) != 0) {
        return FW_INSTALL_HASH; /* the slot has changed since it was prepared */
    }
    copy(next, now);
    next->state = state;
    next->boots = 0;
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

uint8_t fw_installation_boot(const fw_installation *now, fw_installation *next)
{
    fw_event event = boot_event(now);
    uint8_t state = fw_next_state(now->state, event);
    copy(next, now);
    if (is_running_new(state)) {
        next->running = fw_other(next);
        next->boots++;
    } else {
        if (is_running_new(next->state)) {
            revert(next, event == FW_EVENT_FALL_BACK ? FW_UNBOOTABLE : FW_ROLLED_BACK);
        }
        next->running = next->home;
    }
    next->state = state;
    return next->running;
}

/* Once voted, a passed test says that the image came up; a failed one is counted by the next boots. */
fw_check fw_installation_vote(const fw_installation *now, bool passed, fw_installation *next)
{
    uint8_t state = fw_next_state(now->state, passed ? FW_EVENT_PASSED : FW_EVENT_FAILED);
    if (state == FW_NO_STATE || is_other_free(now)) {
        return FW_INSTALL_STATE;
    }
    copy(next, now);
    if (state == FW_IDLE) {
        revert(next, FW_SELF_TEST_FAILED);
        return FW_OK;
    }
    next->state = state;
    next->boots = passed ? 0 : next->boots;
    return FW_OK;
}

fw_check fw_installation_confirm(const fw_installation *now, fw_installation *next)
{
    if (fw_next_state(now->state, FW_EVENT_CONFIRM) == FW_NO_STATE || now->coordinator.scheme != FW_NO_KEY) {
        return FW_INSTALL_STATE;
    }
    copy(next, now);
    next->outcome = FW_INSTALLED;
    release(next);
    return FW_OK;
}
