/* What store.c and store_scan.c share: where things lie in the log, and its frame (described in store.h). */
#ifndef FW_STORE_LOG_H
#define FW_STORE_LOG_H

#include "octets.h"
#include "store.h"

#define FW_STORE_PREFIX 8u
#define FW_STORE_CRC_LENGTH 4u
#define FW_STORE_FORMAT 1u
#define FW_STORE_HEAD 0x3Fu
#define FW_STORE_HEADS 2u /* should flash lose one, the half is not lost with it */
#define FW_STORE_DELETION 0x40u
#define FW_STORE_CRC 0xFFFFFFFFu /* to begin with; complemented at the end */
#define FW_STORE_CRC_FROM 4u     /* octets of the prefix that the record's CRC covers: not where it lies */

/* store_scan.c */
uint32_t fw_store_half(const fw_store *store);                  /* octets of a half */
uint32_t fw_store_size(const fw_store *store, uint32_t length); /* octets that a record takes in the log */
uint32_t fw_store_crc(uint32_t crc, const void *octets, uint32_t length);
void fw_store_prefix(uint8_t prefix[FW_STORE_PREFIX], uint32_t at, uint8_t name, uint16_t length);
void fw_store_index(fw_store *store, uint8_t name, uint32_t at, uint16_t length);
void fw_store_scan(fw_store *store, uint32_t base);

/* store.c */
bool fw_store_copy(fw_store *store, fw_record record, uint32_t at);
bool fw_store_head(fw_store *store, uint32_t base, uint32_t sequence);
bool fw_store_erase(fw_store *store, uint32_t base);

#endif
