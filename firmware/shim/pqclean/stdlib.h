/* What PQClean's fips202.c expects of a heap, lent by core/crypto_mldsa.c: two contexts are all that are alive at
 * once. */
#ifndef FW_SHIM_PQCLEAN_STDLIB_H
#define FW_SHIM_PQCLEAN_STDLIB_H

#include <stddef.h>

void *fw_shake_lend(size_t length);
void fw_shake_return(void *context);

#define malloc fw_shake_lend
#define free fw_shake_return
#define exit(code) ((void)(code)) /* never: the two are enough */

#endif
