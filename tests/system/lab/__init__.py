# SPDX-License-Identifier: ISC
"""The laboratory: real mail servers, started privately, for tests and demo.

namespace  a network, a file system view and a process table of our own
process    start, watch and stop one server
client     SMTP, POP3 and IMAP from any client address
site       directories, addresses and ports everything agrees on
world      smtp-sink as the rest of the Internet
others     one module per server: how it is configured and started
"""
