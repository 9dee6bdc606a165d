/* Included by a library that needs nothing of it here; for boards without a C library. */
