/* SPDX-License-Identifier: ISC */
/* logins.pml - the login table between its processes: a log, the collector, an
 * admin's popgatectl, a backup that is put back, and kills between any two steps.
 * The comment at each step names the function that does it.
 *
 * Holds in every state: a line is counted at most once; no line that is as old
 * as an admin's deletion opens the client. And at the end: every line counts, and
 * each deletion holds that popgatectl has said is done, also in a copy that was
 * put back. Such a copy is older than the collector's last commit, and isn't put
 * back between popgatectl's writing to logins.db and to the words file.
 *
 * A fault is a step done wrongly, which the proof must find: tests/proof/model/
 * run.sh names them. */

#define LINES 2
#define KILLS 1
#define COMMITS 2		/* with an empty batch, about */

byte written;			/* lines in the log: the time, too */
byte kills, rewinds;

/* logins.db, as it was committed */
byte position;			/* of the source: lines that are read */
byte counted[LINES + 1];
byte deleted;			/* lines dated at or before open nothing */
byte newest;			/* of the lines that open the client; 0: none */

byte read_at;			/* of the source: raised by each commit */

byte words;			/* deletions, in the words file */
byte promised;			/* that popgatectl has said are done */
bool deleting;			/* popgatectl is between its two files */
bool logger_done, admin_done, restorer_done;

#define KILLABLE(again) \
	if \
	:: kills < KILLS -> kills++; goto again \
	:: true \
	fi

/* What no commit to logins.db may break. */
#define CHECK \
	assert(newest == 0 || newest > deleted); \
	assert(rewinds > 0 || \
	    (counted[1] <= 1 && counted[2] <= 1))

proctype logger()
{
	do
	:: written < LINES -> written++
	:: written == LINES -> break
	od;
	logger_done = true
}

/* Of the batch from..to: store_logins() counts each, and store_deletions.c keeps
 * those that are too old from opening anything. */
inline store_batch(from, to)
{
	i = from + 1;
	do
	:: i <= to ->
		counted[i]++;
		if
#ifdef FAULT_DELETION_FORGOTTEN
		:: true -> newest = i
#else
		:: i > deleted -> newest = i
		:: else
#endif
		fi;
		i++
	:: i > to -> break
	od
}

proctype collector()
{
	byte at, saved, saved_at, i;

again:
	skip;
	/* commit_open(): take_words(), then feed.c reads on from the position */
	d_step {
		if
#ifndef FAULT_WORDS_NOT_READ
		:: words > deleted ->
			deleted = words;
			if
			:: newest <= deleted -> newest = 0
			:: else
			fi
		:: else
#else
		:: true
#endif
		fi;
		at = position;
		saved = position;
		saved_at = read_at;
		CHECK
	}
	do
	:: at < written ->	/* feed_read(): a line into the batch */
		at++;
		KILLABLE(again)
	:: at > saved ->	/* commit(): logins and position, one transaction */
#ifdef FAULT_POSITION_FIRST
		position = at;
		KILLABLE(again);
		d_step { store_batch(saved, at); i = 0; CHECK }
#else
#ifdef FAULT_LOGINS_FIRST
		d_step { store_batch(saved, at); i = 0; CHECK };
		KILLABLE(again);
		position = at;
#else
		d_step {
			if
			:: read_at < saved_at -> /* was_restored() */
				i = 1
			:: else ->
				store_batch(saved, at);
				position = at;
				read_at++;
				saved = at;
				saved_at = read_at;
				i = 0
			fi;
			CHECK
		};
		if
		:: i == 1 -> i = 0; goto again
		:: else
		fi;
#endif
#endif
#if defined(FAULT_POSITION_FIRST) || defined(FAULT_LOGINS_FIRST)
		saved = at;
#endif
		KILLABLE(again)
	:: d_step {		/* commit() of all sources, every few seconds */
		at == saved && read_at >= saved_at && read_at < COMMITS;
		read_at++;
		saved_at = read_at
	   }
	:: read_at < saved_at ->	/* was_restored(), with an empty batch */
		goto again
	:: logger_done && admin_done && restorer_done && at == saved &&
	    at == LINES && read_at == saved_at -> break
	od;
	assert(deleted >= promised && (newest == 0 || newest > promised));
	assert(rewinds > 0 ||
	    (counted[1] == 1 && counted[2] == 1))
}

/* popgatectl delete, twice at most, as an admin repeats what was killed. */
proctype admin()
{
	byte now, n;

again:
	do
	:: n < 2 ->
		n++;
		d_step {	/* store_delete(), in a transaction */
			now = written;
			if
			:: newest <= now -> newest = 0
			:: else
			fi;
#ifndef FAULT_DELETION_FORGOTTEN
			deleted = (now > deleted -> now : deleted);
#else
			deleted = now;
#endif
			deleting = true;
			CHECK
		};
		if
		:: kills < KILLS -> kills++; deleting = false; goto again
		:: true
		fi;
		d_step {	/* words_delete() */
			words = (now > words -> now : words);
			deleting = false
		};
		promised = (now > promised -> now : promised)
	:: true -> break
	od;
	admin_done = true
}

/* An older copy is put into the place of logins.db while it is open: the lines
 * since are read again, and may be in both. */
proctype restorer()
{
	byte old_position, old_deleted, old_newest, old_read_at;

	d_step {
		old_position = position;
		old_deleted = deleted;
		old_newest = newest;
		old_read_at = read_at
	}
	if
	:: d_step {
			read_at > old_read_at && !deleting;
			rewinds++;
			position = old_position;
			deleted = old_deleted;
			newest = old_newest;
			read_at = old_read_at
		}
	:: true
	fi;
	restorer_done = true
}

init {
	atomic { run logger(); run collector(); run admin(); run restorer() }
}
