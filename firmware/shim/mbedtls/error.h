/* Included by the hashes of Mbed TLS, which need nothing of it here (shim/common.h). */
