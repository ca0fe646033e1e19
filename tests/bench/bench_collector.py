#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Measure popgate-collector against simple programs, in one run, as ratios.

usage: bench_collector.py [--build DIR] [--lines N] [--dir DIR]
Prints a table; exits 1 when a target is missed."""
import argparse
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
ROUNDS = 3


class Bench:
    def __init__(self, build, where):
        self.collector = build / 'popgate-collector'
        self.tool = build / 'bench/bench_collector'
        self.dir = where
        self.missed = 0

    def row(self, what, got, unit, target, good):
        self.missed += not good
        print(f'{what:<52} {got:>9.3f} {unit:<8} {target:<12} '
              f'{"ok" if good else "MISSED"}', flush=True)

    def plain(self, what, got, unit):
        print(f'{what:<52} {got:>9.3f} {unit:<8}', flush=True)

    def fresh(self, name):
        for path in self.dir.glob(f'{name}*'):
            path.unlink()
        return self.dir / name

    def conf(self, log, database):
        path = self.dir / 'popgate.conf'
        # the synthetic log is of the past: keep all of it
        path.write_text(
            f'logins: {{ database = "{database}"; keep = "3660d"; }};\n'
            f'relay: {{ never_authorize = [ ]; }};\n'
            f'collector: {{ user = "root"; '
            f'sources = ( {{ file = "{log}"; }} ); }};\n')
        return path

    def start(self, log, database):
        return subprocess.Popen([self.collector, '-c',
                                 self.conf(log, database)],
                                stderr=subprocess.DEVNULL)

    def run(self, *args):
        done = subprocess.run([self.tool, *map(str, args)], text=True,
                              capture_output=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return [float(x) for x in done.stdout.split()]


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)


def read_position(database):
    try:
        with sqlite3.connect(f'file:{database}?mode=ro', uri=True) as db:
            row = db.execute('SELECT position FROM source').fetchone()
            return row[0] if row else 0
    except sqlite3.OperationalError:
        return 0


def wait_until(condition):
    while not condition():
        time.sleep(0.01)


def catch_up(bench, log):
    """Seconds until all of log is durable, and the most memory used (MB)."""
    database = bench.fresh('logins.db')
    size = log.stat().st_size
    begin = time.monotonic()
    daemon = bench.start(log, database)
    wait_until(lambda: read_position(database) == size)
    took = time.monotonic() - begin
    status = pathlib.Path(f'/proc/{daemon.pid}/status').read_text()
    stop(daemon)
    return took, int(re.search(r'VmHWM:\s+(\d+)', status)[1]) / 1024


def perl(log):
    done = subprocess.run(['perl', HERE / 'parse.pl', 'one', log], text=True,
                          capture_output=True, check=True)
    return float(done.stdout.split()[-1])


def bench_catch_up(bench, lines):
    log = bench.dir / 'mail.log'
    with log.open('w') as f:
        subprocess.run([sys.executable, HERE / 'gen_maillog.py', str(lines)],
                       stdout=f, check=True)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(perl(log))
        ours.append(catch_up(bench, log))
    seconds, memory = min(ours)[0], max(m for _, m in ours)
    bench.plain(f'catch-up of {lines} lines', seconds, 's')
    bench.plain('Perl alternation loop that stores nothing', min(theirs),
                's')
    ratio = seconds / min(theirs)
    bench.row('catch-up, of the time of Perl', ratio, 'x', '<= 2', ratio <= 2)
    bench.row('resident memory at most', memory, 'MB', '<= 64', memory <= 64)
    log.unlink()


def bench_latency(bench):
    ours, theirs = [], []
    for _ in range(ROUNDS):
        for which, results in (('bare', theirs), ('ours', ours)):
            log, database = bench.fresh('lat.log'), bench.fresh('lat.db')
            log.touch()
            daemon = bench.start(log, database) if which == 'ours' else \
                subprocess.Popen([bench.tool, 'bare', log, database])
            wait_until(lambda: pathlib.Path(f'{database}-wal').exists())
            time.sleep(0.5)
            results.append(bench.run('probe', log, database, 200, 400, 0))
            if which == 'ours':
                fast = bench.run('probe', log, database, 1000, 3000, 0)
                stop(daemon)
            else:
                daemon.kill()
                daemon.wait()
    ours50 = sorted(r[0] for r in ours)[ROUNDS // 2]
    theirs50 = sorted(r[0] for r in theirs)[ROUNDS // 2]
    bench.plain('line written to login visible, p50', ours50, 'ms')
    bench.plain('bare inotify-read-commit loop, p50', theirs50, 'ms')
    bench.row('p50, of the bare loop', ours50 / theirs50, 'x', '<= 2',
              ours50 <= 2 * theirs50)
    bench.row('p99 at 1,000 lines a second', fast[1], 'ms', '<= 10',
              fast[1] <= 10)


def cpu_seconds(pid):
    """Time on a processor, from the scheduler: exact to the nanosecond."""
    text = pathlib.Path(f'/proc/{pid}/schedstat').read_text()
    return int(text.split()[0]) / 1e9


def bench_idle(bench):
    log, database = bench.fresh('idle.log'), bench.fresh('idle.db')
    daemon = bench.start(log, database)
    time.sleep(1)
    line = 'mail postfix/smtpd[11]: connect from x.example.net[203.0.113.9]\n'
    begin, used = time.monotonic(), cpu_seconds(daemon.pid)
    with log.open('a', buffering=1) as f:
        for i in range(1000):
            f.write(f'{time.strftime("%b %e %H:%M:%S")} {line}')
            time.sleep(max(0, begin + (i + 1) / 100 - time.monotonic()))
    used = (cpu_seconds(daemon.pid) - used) / (time.monotonic() - begin)
    stop(daemon)
    bench.row('processor, 100 lines/s of other programs', used * 100, '%',
              '< 1', used < 0.01)


def bench_distinct(bench, rows):
    log = bench.dir / 'distinct.log'
    stamp = time.strftime('%b %e %H:%M:%S')
    with log.open('w') as f:
        for i in range(rows):
            n = i * 7919 % rows
            f.write(f'{stamp} mail dovecot: imap-login: Login: user=<u>, '
                    f'method=PLAIN, rip=10.{n // 62500}.{n // 250 % 250}.'
                    f'{n % 250}, lip=198.51.100.5, mpid=4242, TLS, '
                    f'session=<aBcDeFgH>\n')
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(bench.run('upsert', bench.fresh('upsert.db'), rows,
                                16384)[0])
        ours.append(rows / catch_up(bench, log)[0])
    bench.plain(f'{rows} distinct clients, with history', max(ours) / 1000,
                'k/s')
    bench.plain('bare prepared upsert, without', max(theirs) / 1000, 'k/s')
    ratio = max(ours) / max(theirs)
    bench.row('distinct clients, of the bare upsert', ratio, 'x', '>= 0.5',
              ratio >= 0.5)
    log.unlink()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', type=pathlib.Path,
                    default=HERE.parent.parent / 'build')
    ap.add_argument('--lines', type=int, default=2000000)
    ap.add_argument('--rows', type=int, default=1000000)
    ap.add_argument('--dir', help='on the file system to be measured')
    ap.add_argument('--only', help='catch-up, latency, idle, distinct')
    args = ap.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as where:
        bench = Bench(args.build.resolve(), pathlib.Path(where))
        for name, run in (
                ('latency', lambda: bench_latency(bench)),
                ('idle', lambda: bench_idle(bench)),
                ('catch-up', lambda: bench_catch_up(bench, args.lines)),
                ('distinct', lambda: bench_distinct(bench, args.rows))):
            if args.only in (None, name):
                run()
    sys.exit(bench.missed > 0)


if __name__ == '__main__':
    main()
