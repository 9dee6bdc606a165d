/* Names against patterns (twin of uptane/verify/patterns.py). */
#ifndef FW_PATTERNS_H
#define FW_PATTERNS_H

#include "fw_facts.h"

/* Whether an ECU whose filename rule is `rule` takes an image of that name: `*` stands for any characters but `/`, `?`
 * for one of them; the rule `**` takes any name. */
bool fw_accepts(const fw_filename *rule, const fw_filename *name);

#endif
