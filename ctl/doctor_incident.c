#include "ctl.h"
#include "doctor.h"

int
doctor_incident(struct doctor *d)
{
	return ctl_fail(d->ctl, EX_UNAVAILABLE, "--incident: not built yet");
}
