#include "doctor.h"

void
doctor_exim(struct doctor *d, const char *path)
{
	(void)d;
	(void)path;
}
