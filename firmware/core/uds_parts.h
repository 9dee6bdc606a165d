/* What uds.c and uds_tasks.c know of each other. Whatever serves a request returns FW_DONE, or the code of the negative
 * answer that it is given.
 */
#ifndef FW_UDS_PARTS_H
#define FW_UDS_PARTS_H

#include "uds_request.h"

/* uds.c */
fw_nrc fw_misuse(fw *ecu, fw_nrc nrc, fw_check check); /* refuse with `nrc`, and have it reported */
fw_nrc fw_safe(fw *ecu);                               /* the interlock says so */
/* Whether an update may be carried out (in the programming session, while the vehicle is safe), or at least delivered
 * (not in the default session). */
fw_nrc fw_may(fw *ecu, bool carried_out);
/* Have the ECU carry out a task. Whoever wants no answer is told "pending" only when it is due: then there is an
 * answer.
 */
fw_nrc fw_carry_out(fw *ecu, fw_task_kind kind);

/* uds_tasks.c */
fw_nrc fw_answer_routine(fw *ecu);
fw_nrc fw_answer_download(fw *ecu);
fw_nrc fw_answer_block(fw *ecu);
/* `again`: the request before this one ended the transfer, and was acknowledged. */
fw_nrc fw_answer_exit(fw *ecu, bool again);

#endif
