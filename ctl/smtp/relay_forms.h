/* SPDX-License-Identifier: ISC */
/* relay_forms - the ways in which mail servers were asked to relay: every form
 * of recipient that an open Postfix or Sendmail sent outside (tests/data/
 * forms), and those of nmap's smtp-open-relay, as templates. Pure. */
#ifndef POPGATE_RELAY_FORMS_H
#define POPGATE_RELAY_FORMS_H

#include <stdbool.h>
#include <stddef.h>

enum { FORM_TEXT_MAX = 1024 };

/* The meaning of an acceptance of the form. */
enum form_class {
	/* the address is in a foreign domain, however it is written */
	FORM_FOREIGN,
	/* it is in our domain, or in none, and leads outside when the server
	 * follows what stands in the local part. Where every local part is
	 * accepted, acceptance says nothing. */
	FORM_ROUTED,
	/* the same, in a form that no server is known to follow: where every
	 * local part is accepted it isn't worth a word */
	FORM_ODD,
	/* a program or a file in place of a mailbox; the same holds */
	FORM_PROGRAM
};

/* In a template, $d is a domain of ours, $h the server's name, $i its address
 * as a literal without brackets, $f a foreign domain, $z a NUL; any other
 * byte is itself. */
struct relay_form {
	const char *kind;
	const char *text; /* what stands behind "RCPT TO:" */
	enum form_class class;
	bool domain; /* holds $d: worth asking for each domain */
};

extern const struct relay_form relay_forms[]; /* ends with a NULL text */
extern const size_t relay_forms_n;

/* Senders that were seen to open a relay; the same placeholders. */
extern const struct relay_sender {
	const char *words; /* for people */
	const char *text; /* between the brackets of MAIL FROM */
} relay_senders[]; /* ends with NULL */

struct form_values {
	const char *domain, *host, *ip, *foreign;
};

/* Fill in a template. Returns the length (text may hold NULs; one more stands
 * behind it), or 0 when it doesn't fit or a value holds a control byte: it
 * would end the command. */
size_t form_expand(const char *template, const struct form_values *values,
    char text[FORM_TEXT_MAX]);

#endif
