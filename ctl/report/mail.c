/* SPDX-License-Identifier: ISC */
#include "ctl/report/mail.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/mail.h"
#include "ctl/report/mime.h"
#include "ctl/report/render.h"

/* One of the renderings, to be freed; NULL when memory is short. */
static char *
rendered(const struct report *rep, bool page)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (to == NULL)
		return NULL;
	if (page)
		report_html(rep, true, to);
	else
		report_text(rep, to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* A host name that has a place in a Message-ID. */
static const char *
message_host(const struct report *rep)
{
	size_t n = strspn(rep->host,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789.-");

	return n > 0 && rep->host[n] == '\0' ? rep->host : "localhost";
}

static const char *
subject(const struct report *rep, char *buf, size_t size)
{
	static const char *const words[] = {
		[REPORT_GOOD] = "all is well",
		[REPORT_UNKNOWN] = "something couldn't be looked at",
		[REPORT_WARNING] = "something to put right",
		[REPORT_BAD] = "URGENT",
	};

	(void)snprintf(buf, size, "popgate on %s: %s", rep->host,
	    words[report_worst(rep)]);
	return buf;
}

/* The whole message, to be freed; NULL when memory is short. */
static char *
compose(const struct report *rep, const char *address)
{
	char line[400], *message = NULL, *text = rendered(rep, false),
			*page = rendered(rep, true);
	size_t len = 0;
	FILE *to = text == NULL || page == NULL
	    ? NULL
	    : open_memstream(&message, &len);

	if (to != NULL) {
		mime_write(
		    &(struct mime_mail){
			.to = address,
			.subject = subject(rep, line, sizeof(line)),
			.host = message_host(rep),
			.at = rep->now,
			.id = (uint64_t)getpid(),
			.text = text,
			.html = page,
		    },
		    to);
		if (fclose(to) != 0) {
			free(message);
			message = NULL;
		}
	}
	free(text);
	free(page);
	return message;
}

int
report_mail(struct ctl *ctl, const struct report *rep, const char *address)
{
	char *message = compose(rep, address);

	if (message == NULL)
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	int rc = mail_send(ctl, address, message);

	free(message);
	return rc;
}
