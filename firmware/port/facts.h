/* What an ECU is, read from the octets that were provisioned (twin of firmware/tools/facts.py, which has the
 * format). */
#ifndef FW_READ_FACTS_H
#define FW_READ_FACTS_H

#include "fw_facts.h"

/* False if they are not whole and right. facts->root points into `octets`, which have to stay where they are. */
bool fw_read_facts(fw_facts *facts, const uint8_t *octets, size_t length);

#endif
