# SPDX-License-Identifier: ISC
# servers.sh - what an admin has done to Debian's stock servers before popgate
# comes: the name of the machine, mail from outside, and passwords in clear for
# this test's client. mail.example is local, and nothing is relayed.
# shellcheck shell=sh

configure() {
	echo mail.example >/etc/mailname
	for part in $(echo "$1" | tr - ' '); do "configure_$part"; done
}

configure_postfix() {
	postconf -e 'inet_interfaces = all' 'mynetworks = 127.0.0.0/8' \
	    'mydestination = mail.example, localhost' \
	    'inet_protocols = ipv4' 'default_transport = discard:'
	service postfix restart
}

configure_sendmail() {
	sed -i -e 's/^\(DAEMON_OPTIONS(.*Name=MTA-v4.*\), Addr=127.0.0.1/\1/' \
	    -e 's/^\(DAEMON_OPTIONS(.*Name=MTA-v6\)/dnl \1/' \
	    -e 's/^\(DAEMON_OPTIONS(.*Name=MSP-v6\)/dnl \1/' \
	    /etc/mail/sendmail.mc
	# whatever else the machine does: it refuses above a load average of 12
	sed -i "/^MAILER_DEFINITIONS/i define(\`confREFUSE_LA', \`1000')dnl" \
	    /etc/mail/sendmail.mc
	echo "LOCAL_DOMAIN(\`mail.example')dnl" >>/etc/mail/sendmail.mc
	# the test's client asks ten times a second, from a network for examples
	sed -i '/^Connect:192\.0\.2[[:space:]]/d' /etc/mail/access
	printf 'ClientRate:192.0.2\t0\nClientConn:192.0.2\t0\n' >>/etc/mail/access
	make -C /etc/mail >/dev/null
	service sendmail restart
}

configure_exim() {
	sed -i -e "s/^dc_eximconfig_configtype=.*/dc_eximconfig_configtype='internet'/" \
	    -e "s/^dc_local_interfaces=.*/dc_local_interfaces=''/" \
	    -e "s/^dc_other_hostnames=.*/dc_other_hostnames='mail.example'/" \
	    /etc/exim4/update-exim4.conf.conf
	update-exim4.conf
	service exim4 restart
}

configure_dovecot() {
	if dovecot --version | grep -q '^2\.3'; then
		echo 'disable_plaintext_auth = no' >/etc/dovecot/local.conf
	else
		echo 'auth_allow_cleartext = yes' >/etc/dovecot/local.conf
	fi
	service dovecot restart
}

configure_courier() {
	runuser -u alice -- maildirmake /home/alice/Maildir 2>/dev/null ||
		runuser -u alice -- maildirmake.courier /home/alice/Maildir
	for s in courier-authdaemon courier-imap; do service $s restart; done
}
