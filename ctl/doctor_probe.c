#include "ctl.h"
#include "doctor.h"

int
doctor_probe(struct doctor *d)
{
	return ctl_fail(d->ctl, EX_UNAVAILABLE, "--probe: not built yet");
}
