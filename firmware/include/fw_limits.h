/* Every limit of the microcontroller profile, with its reason beside it. Octets unless the name says otherwise.
 *
 * What the schema allows and this profile does not is refused as LENGTH, before anything is believed. Twin of
 * uptane/model/limits.py, uptane/link/isotp_values.py and uptane/link/uds_values.py.
 */
#ifndef FW_LIMITS_H
#define FW_LIMITS_H

#define FW_NAME_MAX 64u      /* VehicleId, EcuId, HardwareId of the schema */
#define FW_FILENAME_MAX 128u /* Filename and Pattern of the schema */
#define FW_KEY_ID_LENGTH 8u
#define FW_NONCE_LENGTH 16u
#define FW_SHA256_LENGTH 32u
#define FW_SHA512_LENGTH 64u
#define FW_BUNDLE_LENGTH 32u
#define FW_SECRET_LENGTH 32u

#if defined(FW_PROFILE_H)      /* hybrid keys and ML-DSA-44: for controllers with 64 KB of RAM and more */
#define FW_KEY_MAX 1344u       /* ed25519 + ML-DSA-44 */
#define FW_SIGNATURE_MAX 2484u /* 64 + 2420 */
#else                          /* profile S */
#define FW_KEY_MAX 33u         /* Ed25519 32, P-256 compressed 33 */
#define FW_SIGNATURE_MAX 64u
#endif
#define FW_SIGNATURES_MAX                                                                                              \
    8u                       /* of one envelope: two thresholds of three while keys rotate, and two to spare; the      \
                              * schema's 16 do not fit into RAM beside a stack */
#define FW_ROOT_KEYS_MAX 16u /* of one Root: five roles of three keys; the schema's 64 do not fit into RAM */

#define FW_ROOT_LENGTH_MAX 65536u
#define FW_DIRECTOR_TARGETS_LENGTH_MAX 262144u
#define FW_ATTESTATION_LENGTH_MAX 8192u
#define FW_ORDER_LENGTH_MAX 8192u

#define FW_BLOCK_MAX 514u  /* one TransferData request, service and counter included: the receive buffer */
#define FW_REPORT_MAX 562u /* a signed report with names at their longest and eight refusals: see report.c */
#define FW_SMALL_MAX 131u  /* any other message we send: a filename behind its identifier; the status is 93 */
#define FW_REQUEST_MAX 16u /* any request but TransferData: RequestDownload is 11 */
#define FW_PEERS_MAX 3u    /* clients heard at once, one with blocks: the Primary, a tester, one more */

#define FW_REFUSAL_KINDS_MAX 8u      /* as many as a report carries */
#define FW_ROLLED_BACK_MAX 8u        /* the Director sees each in a report and moves on */
#define FW_BOOT_ATTEMPTS_MAX 3u      /* boots of a voted image before it counts as unbootable */
#define FW_ERASES_PER_TARGETS_MAX 4u /* flash wears */
#define FW_COUNTERS_RESERVED 64u     /* a write in 64 reports */

#endif
