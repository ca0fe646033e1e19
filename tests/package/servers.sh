# SPDX-License-Identifier: ISC
# servers.sh - what an admin has done to Debian's stock servers before popgate
# comes: the name of the machine, mail from outside, and passwords in clear for
# this test's client. mail.example is local, and nothing is relayed.
# shellcheck shell=sh

configure() {
	echo mail.example >/etc/mailname
	for part in $(echo "$1" | tr - ' '); do configure_$part; done
}

configure_postfix() {
	postconf -e 'inet_interfaces = all' 'mynetworks = 127.0.0.0/8' \
	    'mydestination = mail.example, localhost' \
	    'inet_protocols = ipv4' 'default_transport = discard:'
	systemctl restart postfix
}

configure_sendmail() {
	sed -i -e 's/^\(DAEMON_OPTIONS(.*Name=MTA-v4.*\), Addr=127.0.0.1/\1/' \
	    -e 's/^\(DAEMON_OPTIONS(.*Name=MTA-v6\)/dnl \1/' \
	    -e 's/^\(DAEMON_OPTIONS(.*Name=MSP-v6\)/dnl \1/' \
	    /etc/mail/sendmail.mc
	echo "LOCAL_DOMAIN(\`mail.example')dnl" >>/etc/mail/sendmail.mc
	make -C /etc/mail >/dev/null
	systemctl restart sendmail
}

configure_exim() {
	sed -i -e "s/^dc_eximconfig_configtype=.*/dc_eximconfig_configtype='internet'/" \
	    -e "s/^dc_local_interfaces=.*/dc_local_interfaces=''/" \
	    -e "s/^dc_other_hostnames=.*/dc_other_hostnames='mail.example'/" \
	    /etc/exim4/update-exim4.conf.conf
	update-exim4.conf
	systemctl restart exim4
}

configure_dovecot() {
	if dovecot --version | grep -q '^2\.3'; then
		echo 'disable_plaintext_auth = no' >/etc/dovecot/local.conf
	else
		echo 'auth_allow_cleartext = yes' >/etc/dovecot/local.conf
	fi
	systemctl restart dovecot
}

configure_courier() {
	runuser -u alice -- maildirmake /home/alice/Maildir 2>/dev/null ||
		runuser -u alice -- maildirmake.courier /home/alice/Maildir
	systemctl restart courier-authdaemon courier-imap
}
