# SPDX-License-Identifier: ISC
"""Stand-ins at the address of a Redis: a slow way to it, and somebody hostile.

    redis_standins.py slow PORT TO-PORT DELAY-MS LOSS-PERCENT SEED
    redis_standins.py hostile PORT HOW
"""
import random
import socket
import sys
import threading
import time


# A lost segment is sent again no sooner than that (Linux, TCP_RTO_MIN).
RESEND_S = 0.2


def carry(source, sink, delay_s, loss, chance):
    """Pass on what comes, later, in order, and later still when the network
    lost it: what TCP makes of a loss."""
    queue, more = [], threading.Condition()

    def send():
        while True:
            with more:
                more.wait_for(lambda: queue)
                due, data = queue.pop(0)
            time.sleep(max(0, due - time.monotonic()))
            try:
                sink.sendall(data)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
            except OSError:
                return

    threading.Thread(target=send, daemon=True).start()
    data = True
    while data:
        try:
            data = source.recv(16384)
        except OSError:
            data = b""
        late = RESEND_S if chance.random() < loss else 0
        with more:
            queue.append((time.monotonic() + delay_s + late, data))
            more.notify()


def slow(connection, to, delay_ms, loss_percent, seed):
    server = socket.create_connection(("127.0.0.1", int(to)))
    chance = random.Random(int(seed))
    for ends in ((connection, server), (server, connection)):
        threading.Thread(target=carry, daemon=True, args=(
            *ends, int(delay_ms) / 2000, int(loss_percent) / 100,
            chance)).start()


INFO = b"# Replication\r\nrole:master\r\nmaster_replid:" + b"e" * 40 + b"\r\n"


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def endless(how):
    """The bytes of an answer that never ends."""
    yield b"$2000000000\r\n"
    while True:
        yield b"x" if how == "drip" else b"x" * 65536
        if how == "drip":
            time.sleep(0.3)


def hostile(connection, how):
    """It says that it is a primary; from then on it sends without end, or a
    byte now and then, or what no Redis says."""
    chance = random.Random(1)
    try:
        connection.recv(65536)              # AUTH
        connection.sendall(b"+OK\r\n")
        connection.recv(65536)
        connection.sendall(bulk(INFO))
        if how == "garbage":
            while True:
                connection.recv(65536)
                connection.sendall(bytes(chance.choices(
                    b"*$+-:0123456789\r\n\0\xff", k=200)))
        for data in endless(how):
            connection.sendall(data)
    except OSError:
        pass
    connection.close()


def main(what, port, *words):
    serve = {"slow": slow, "hostile": hostile}[what]
    listener = socket.create_server(("0.0.0.0", int(port)))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, *words),
                         daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
