/* The findings, by program. docs/DOCTOR.md explains each at length. */
#include "doctor.h"

const struct finding_kind finding_kinds[] = {
    /* --- any --- */
    {"mta-none", SEVERITY_INFO,
	"Without a mail server's configuration only popgate's own could be "
	"looked at.",
	"popgatectl doctor --mta postfix --config-dir /etc/postfix"},
    {0}};
