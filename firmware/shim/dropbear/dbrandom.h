/* Included by dropbear's curve25519.c for making keys; no key is made here. */
static inline void genrandom(unsigned char *octets, unsigned length)
{
    (void)octets, (void)length;
}
