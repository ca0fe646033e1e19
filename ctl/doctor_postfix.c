#include "doctor.h"

void
doctor_postfix(struct doctor *d, const char *dir)
{
	(void)d;
	(void)dir;
}
