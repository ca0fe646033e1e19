/* SPDX-License-Identifier: ISC */
/* relay.pml - one message with a relayed recipient through both locks: Postfix,
 * the permit channel, the milter and the audit's writer, over kills of the
 * daemon and a loss of power at any step. The comment at each step names the
 * function that does it.
 *
 * Holds in every state: a message that was let go has its row on disk, and its
 * recipient counts once; and in the end nothing waits for ever.
 *
 * A fault is a step done wrongly, which the proof must find: run.sh names them. */

#define KILLS 1
#define CRASHES 1

/* How far a row has come. What is queued dies with the daemon, what is written
 * with the machine. */
mtype = { NONE, QUEUED, WRITTEN, DURABLE };
mtype permit_row = NONE, milter_row = NONE;
bool takes;			/* the milter's row stands for the permit's */
byte counts_permit, counts_milter;	/* of the rows that are in the file */

byte life;			/* of the daemon: raised when it dies */
byte kills, crashes;
bool let_go;			/* DATA was answered: the message is relayed */
bool over;

#define COUNTED (counts_permit + counts_milter)

#define CHECK \
	assert(!let_go || permit_row == DURABLE || milter_row == DURABLE); \
	assert(!let_go || COUNTED == 1)

/* audit.c's thread: a transaction, then the disk */
active proctype writer()
{
end:
	do
	/* audit_table_insert(), audit_table_commit(): all that is queued */
	:: permit_row == QUEUED || milter_row == QUEUED ->
		d_step {
			if
			:: permit_row == QUEUED ->
				permit_row = WRITTEN; counts_permit = 1
			:: else
			fi;
			if
			:: milter_row == QUEUED ->
				milter_row = WRITTEN; counts_milter = 1;
				if
#ifndef FAULT_TAKES_NOTHING
				:: takes -> counts_permit = 0
#endif
				:: else
				fi
			:: else
			fi;
			CHECK
		}
	/* audit_table_checkpoint(), or a synchronous commit */
	:: permit_row == WRITTEN || milter_row == WRITTEN ->
		d_step {
			if
			:: permit_row == WRITTEN -> permit_row = DURABLE
			:: else
			fi;
			if
			:: milter_row == WRITTEN -> milter_row = DURABLE
			:: else
			fi
		}
	od
}

active proctype enemy()
{
end:
	do
	:: kills < KILLS ->	/* kill -9 of popgate-milter */
		d_step {
			kills++;
			life++;
			if
			:: permit_row == QUEUED -> permit_row = NONE
			:: else
			fi;
			if
			:: milter_row == QUEUED -> milter_row = NONE
			:: else
			fi;
			CHECK
		}
	:: crashes < CRASHES ->	/* the machine loses power, Postfix too */
		d_step {
			crashes++;
			life++;
			if
			:: permit_row != DURABLE ->
				permit_row = NONE; counts_permit = 0
			:: else
			fi;
			if
			:: milter_row != DURABLE ->
				milter_row = NONE; counts_milter = 0
			:: else
			fi;
			/* what was let go before stays so */
			CHECK
		}
	:: over -> break
	od
}

/* Postfix: a session with the milter ends with the daemon, and its message with
 * a temporary failure; the permit channel is connected anew. */
active proctype postfix()
{
	byte session = life, asked;

	/* RCPT at the permit channel: permit_answer(), submit(): held until
	 * the row is written (gate_submit_written()) */
	asked = life;
	permit_row = QUEUED;
	(permit_row == WRITTEN || permit_row == DURABLE || life != asked);
	if
	:: life != asked -> goto failed
	:: else
	fi;
	/* RCPT at the milter: on_envrcpt(); gate_decide() finds the pair, which
	 * is in the daemon's memory, and gate_row() notes what it takes */
	d_step {
		takes = (life == asked)
	};
	if
	:: life != session -> goto failed
	:: else
	fi;
	/* DATA at the permit channel: answer_data() waits for gate_sync() */
	(permit_row == DURABLE || life != session);
	if
	:: life != session -> goto failed
	:: else
	fi;
	/* DATA at the milter: on_data(), gate_commit() */
	d_step {
		if
		:: life == session -> milter_row = QUEUED
		:: else
		fi
	};
#ifdef FAULT_NO_WAIT
	skip;
#else
#ifdef FAULT_WRITTEN_IS_ENOUGH
	(milter_row == WRITTEN || milter_row == DURABLE || life != session);
#else
	(milter_row == DURABLE || life != session);
#endif
#endif
	/* the reply: only a daemon that lives gives one */
	atomic {
		if
		:: life != session -> goto failed
		:: else -> let_go = true
		fi;
		CHECK
	};
failed:
	over = true
}
