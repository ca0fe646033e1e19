#include "doctor.h"

void
doctor_popgate(struct doctor *d)
{
	(void)d;
}
