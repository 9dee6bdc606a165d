/* Whose word moves a bundle (twin of uptane/verify/orders.py). What an order changes is installation.c's. */
#include <string.h>

#include "state.h"
#include "threshold.h"

/* The coordinator is the one of the Targets the transaction is bound to, or of the newest stored ones: a Primary that
 * was replaced meanwhile must be able to end what the old one began. */
static fw_check check_coordinator(fw *ecu)
{
    const fw_authority bound = {NULL, 0, 1, &ecu->installation.coordinator};
    const fw_authority newest = {NULL, 0, 1, &ecu->held.targets.coordinator};
    bool has_bound = bound.only->scheme != FW_NO_KEY;
    bool has_newest = ecu->held.targets.present && newest.only->scheme != FW_NO_KEY;
    if (!has_bound && !has_newest) {
        return FW_ORDER_COORDINATOR;
    }
    bool is_signed = (has_bound && fw_object_signed(ecu, &bound)) || (has_newest && fw_object_signed(ecu, &newest));
    return is_signed ? FW_OK : FW_ORDER_SIGNATURE;
}

fw_check fw_check_order(fw *ecu, uint8_t *phase)
{
    const fw_object *object = &ecu->object;
    const fw_order_scratch *order = &object->of.order;
    fw_check check = fw_object_take(ecu, FW_OBJECT_ORDER);
    if (check == FW_OK) {
        check = fw_check_envelope(object);
    }
    if (check == FW_OK) {
        check = check_coordinator(ecu);
    }
    if (check == FW_OK) {
        check = fw_accept_object(ecu, NULL, FW_PAYLOAD_ORDER, FW_OK);
    }
    if (check != FW_OK) {
        return check;
    }
    if (!object->own_vehicle) {
        return FW_ORDER_VEHICLE;
    }
    if (!ecu->installation.has_bundle || memcmp(order->bundle, ecu->installation.bundle, FW_BUNDLE_LENGTH) != 0) {
        return FW_ORDER_BUNDLE;
    }
    if (order->targets_version != ecu->installation.targets_version) {
        return FW_ORDER_TARGETS_VERSION;
    }
    *phase = order->phase;
    return FW_OK;
}
