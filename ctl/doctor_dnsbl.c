#include "ctl.h"
#include "doctor.h"

int
doctor_dnsbl(struct doctor *d)
{
	return ctl_fail(d->ctl, EX_UNAVAILABLE, "--dnsbl: not built yet");
}
