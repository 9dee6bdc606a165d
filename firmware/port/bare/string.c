/* <string.h> for boards without a C library: small, not fast. Built so that the compiler does not make them call
 * themselves. */
#include "string.h"

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (length-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t > f) {
        while (length-- > 0) {
            t[length] = f[length];
        }
        return to;
    }
    while (length-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memset(void *to, int octet, size_t length)
{
    unsigned char *t = to;
    while (length-- > 0) {
        *t++ = (unsigned char)octet;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const unsigned char *left = a;
    const unsigned char *right = b;
    for (; length > 0; length--, left++, right++) {
        if (*left != *right) {
            return *left < *right ? -1 : 1;
        }
    }
    return 0;
}
