/* The four functions that the core, the compiler and the libraries take from <string.h>, for boards without a C
 * library. */
#ifndef FW_BARE_STRING_H
#define FW_BARE_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int octet, size_t length);
int memcmp(const void *a, const void *b, size_t length);

#endif
