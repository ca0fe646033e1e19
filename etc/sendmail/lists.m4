dnl Sendmail's DNS block lists (FEATURE(`dnsbl'), FEATURE(`enhdnsbl')) refuse a
dnl client when it connects, before anybody is asked whether it may relay; and
dnl the addresses that users get from their provider are in such lists.
dnl In sendmail.mc, before the first of these FEATUREs:
dnl      include(`/etc/popgate/sendmail/lists.m4')dnl
dnl
dnl A client that popgate would let relay isn't looked up in the lists below this
dnl line.  All else stays: the access map is asked before them, and all other
dnl clients, and those of whom popgate can't say anything, are looked up as ever.
dnl Nothing is counted or recorded for this question.
dnl
PUSHDIVERT(6)dnl
Ksendmail_client socket -T<TMPF> unix:/run/popgate/socketmap.sock
POPDIVERT`'dnl
PUSHDIVERT(8)dnl
R$*			$: $(sendmail_client $&{client_addr} $: <none> $)
R<permit>		$@ OK
POPDIVERT`'dnl
