# SPDX-License-Identifier: ISC
"""The daemons' word on themselves: health, metrics, the dashboard, and what
popgatectl makes of it. No mail server, no namespace."""
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest
from prometheus_client.openmetrics.parser import \
    text_string_to_metric_families

from lab.box import MILTER
from lab.daemons import PROGRAMS, Daemons
from lab.process import wait_for
from lab.site import BUILD, TOP


@pytest.fixture
def daemons(tmp_path):
    d = Daemons(tmp_path)
    try:
        d.start("collector")
        wait_for((tmp_path / "logins.db").exists, "the login table")
        d.start("milter")
        yield d
    finally:
        d.close()


def value(families, name, **labels):
    """The sum of a sample's values with these labels."""
    return sum(s.value for f in families.values() for s in f.samples
               if s.name == name and labels.items() <= s.labels.items())


def test_health(daemons):
    daemons.login("203.0.113.5", 3)
    wait_for(lambda: daemons.health("collector")["logins"] == 3, "3 logins")
    wait_for(lambda: "action=OK" in daemons.ask("203.0.113.5", "a@x.test"),
             "the login to count")
    milter, collector = daemons.health("milter"), daemons.health("collector")
    for name, health in (("milter", milter), ("collector", collector)):
        assert health["daemon"] == f"popgate-{name}"
        assert health["pid"] == daemons.processes[name].pid
        assert health["state"] == "running"
        assert health["config"] == str(daemons.conf)
        assert abs(health["started_at"] - time.time()) < 60
        assert health["last_error"] is None
        assert health["reloads"] == 0 and health["reload_good"] is True
    assert milter["decisions"] >= 1
    assert milter["audit_good"] is True and milter["audit_lost"] == 0
    assert milter["audit_queue_limit"] == 65536
    assert collector["logins_per_minute"] == 3
    assert collector["sources"][0]["name"] == f"file:{daemons.log}"
    assert 0 <= collector["lag_s"] < 60


def test_metrics(daemons):
    daemons.login("203.0.113.5", 2)
    with open(daemons.log, "a") as log:
        log.write(time.strftime("%b %e %H:%M:%S ") + "mail dovecot: "
                  "imap-login: Disconnected (auth failed, 1 attempts in 2 "
                  "secs): user=<bob>, method=PLAIN, rip=203.0.113.6, "
                  "lip=192.0.2.1, session=<y>\n")
    wait_for(lambda: value(daemons.metrics("collector"),
                           "popgate_logins_total", server="dovecot") == 2,
             "two logins counted")
    assert "action=OK" in daemons.ask("203.0.113.5", "a@x.test")
    assert "action=550" in daemons.ask("203.0.113.9", "a@x.test")
    assert "action=DUNNO" in daemons.ask("203.0.113.9", "a@lab.test")
    m = daemons.metrics("milter")
    assert value(m, "popgate_decisions_total", channel="policy",
                 verdict="accept", reason="recent-login") == 1
    assert value(m, "popgate_decisions_total", verdict="reject",
                 reason="no-login") == 1
    assert value(m, "popgate_decisions_total", verdict="accept",
                 reason="local-recipient") == 1
    assert value(m, "popgate_decisions_total") == 3
    assert value(m, "popgate_decision_duration_seconds_count",
                 channel="policy") == 3
    assert value(m, "popgate_decision_duration_seconds_bucket",
                 channel="policy", le="+Inf") == 3
    assert value(m, "popgate_decision_duration_seconds_sum") > 0
    wait_for(lambda: value(daemons.metrics("milter"),
                           "popgate_audit_rows_total") == 2, "rows on disk")
    m = daemons.metrics("milter")
    assert value(m, "popgate_audit_commit_duration_seconds_count") >= 1
    assert value(m, "popgate_database_size_bytes", database="audit") > 0
    c = daemons.metrics("collector")
    source = {"source": f"file:{daemons.log}"}      # escaped, and back
    assert value(c, "popgate_lines_refused_total", server="dovecot",
                 **source) == 1
    assert [s for s in c["popgate_source_lag_seconds"].samples
            if s.labels == source and s.value < 60]
    assert value(c, "popgate_database_size_bytes", database="logins") > 0
    for families in (m, c):
        for family in families.values():
            assert family.documentation, family.name
            assert family.type != "unknown", family.name


def test_dashboard_asks_for_what_there_is(daemons):
    daemons.login("203.0.113.5")
    with open(daemons.log, "a") as log:
        log.write(time.strftime("%b %e %H:%M:%S ") + "mail dovecot: "
                  "imap-login: Aborted login: rip=203.0.113.6, "
                  "lip=192.0.2.1, session=<y>\n")
    daemons.ask("203.0.113.9", "a@x.test")
    wait_for(lambda: value(daemons.metrics("collector"),
                           "popgate_lines_refused_total") == 1, "the lines")
    samples = {s.name: set(s.labels)
               for name in ("milter", "collector")
               for f in daemons.metrics(name).values() for s in f.samples}
    board = json.loads((TOP / "etc/grafana/popgate.json").read_text())
    queries = [t["expr"] for p in board["panels"] for t in p["targets"]]
    queries += [v["definition"] for v in board["templating"]["list"]
                if "definition" in v]
    assert len(queries) > 12
    for query in queries:
        names = re.findall(r"popgate_\w+", query)
        assert names, query
        if "popgate_share_" in query:       # see test_share.py
            continue
        for name in names:
            assert name in samples, f"{query}: no such metric"
        for group in re.findall(r"by \(([^)]*)\)", query):
            for label in group.split(", "):
                assert label in samples[names[0]] | {"instance", "job"}, query
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
    assert board["uid"] and board["schemaVersion"] and board["title"]


def test_status_and_health(daemons):
    daemons.login("203.0.113.5", 4)
    wait_for(lambda: daemons.health("collector")["logins"] == 4, "logins")
    text = daemons.ctl("status")
    milter, collector = (daemons.processes[n].pid
                         for n in ("milter", "collector"))
    assert re.search(rf"OK +popgate-milter: running, pid {milter}, started "
                     r".*, 0 sessions, \d+ decisions", text)
    assert re.search(r"OK +audit queue: 0 of 65536 rows wait", text)
    assert re.search(rf"OK +popgate-collector: pid {collector}, started .*, "
                     r"4 logins in the last minute, 0 wait", text)
    assert "POPGATE OK" in daemons.ctl("health")
    assert re.search(r"\|lag=\d+s relays=0 decisions=\d+ queue=0 logins=4$",
                     daemons.ctl("health"), re.M)
    status = json.loads(daemons.ctl("status", "--json"))
    assert status["logins_per_minute"] == 4 and status["audit_queued"] == 0
    daemons.stop("collector")
    text = daemons.ctl("health", code=2)
    assert "CRITICAL" in text and "popgate-collector" in text
    daemons.start("collector")
    # the audit can't be written: said with the reason, and that it is over
    os.rename(daemons.path / "audit.db", daemons.path / "away.db")
    (daemons.path / "audit.db").mkdir()
    daemons.ask("203.0.113.9", "a@x.test")
    wait_for(lambda: not daemons.health("milter")["audit_good"], "trouble")
    text = daemons.ctl("health", code=2)
    assert "audit queue: " in text and "temporary failure" in text
    assert "popgate-milter's last error: " in text
    (daemons.path / "audit.db").rmdir()
    wait_for(lambda: daemons.health("milter")["audit_good"], "its end")
    assert daemons.health("milter")["audit_lost"] >= 1
    assert "POPGATE WARNING" in daemons.ctl("health", code=1)


def test_repeated_refusals(daemons):
    """A row for the eleventh and all after it, and each is counted."""
    for i in range(40):
        assert "550" in daemons.ask("203.0.113.9", f"r{i}@x.test")

    def rows():
        text = daemons.ctl("decisions", "--json", "--client", "203.0.113.9")
        return [json.loads(line) for line in text.splitlines()]
    wait_for(lambda: sum(row["count"] for row in rows()) == 40, "40 of them")
    # perhaps a minute ended meanwhile
    assert 11 <= len(rows()) <= 22
    text = daemons.ctl("decisions")
    assert re.search(r"<r\d+@x.test>.* and \d+ more like it until ", text)
    why = json.loads(daemons.ctl("why", "203.0.113.9", "--json"))
    assert why["reject"]["recipients"] == 40
    assert "Refused: 40 recipients" in daemons.ctl("why", "203.0.113.9")
    groups = json.loads(daemons.ctl("stats", "--json"))
    assert "40" in json.dumps(groups)
    csv = daemons.ctl("decisions", "--csv", "--limit", "0").splitlines()
    assert csv[0].endswith(",count,last_at")
    assert sum(int(line.split(",")[-2]) for line in csv[1:]) == 40
    assert re.search(r"OK +audit size: \d+ of 8192 MB\n",
                     daemons.ctl("status"))
    metrics = daemons.metrics("milter")
    assert value(metrics, "popgate_audit_max_bytes") == 8 << 30
    assert value(metrics, "popgate_audit_used_bytes") > 0


def test_audit_truncated(daemons):
    """Made anew by itself, and said; without its writer, the advice helps."""
    audit, log = daemons.audit, daemons.stderr(MILTER)
    for meddle in (lambda: os.truncate(audit, 0),
                   lambda: os.unlink(audit)):
        daemons.ask("203.0.113.9", "before@x.test")
        wait_for(lambda: daemons.ctl("decisions", "--json"), "a row")
        said = log.read_text().count("it is made anew")
        meddle()
        # nobody is told that a file that is being made anew is broken
        daemons.run("decisions", code=0 if audit.exists() else None)
        wait_for(lambda: log.read_text().count("it is made anew") > said,
                 "a word in the log")
        wait_for(lambda: audit.exists() and audit.stat().st_size, "a file")
        wait_for(lambda: daemons.health("milter")["audit_good"], "its end")
        daemons.ask("203.0.113.9", "after@x.test")
        wait_for(lambda: "after@x.test" in daemons.ctl("decisions"), "a row")
        assert "before@x.test" not in daemons.ctl("decisions")
    daemons.stop("milter")
    os.truncate(audit, 0)
    text = daemons.ctl("decisions", code=65)
    assert "is empty: was it truncated?" in text
    daemons.start("milter")
    wait_for(lambda: daemons.run("decisions", code=None).returncode == 0,
             "its table")


def test_another_program_on_the_socket(daemons):
    daemons.stop("milter")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(daemons.socket("milter")))
        s.listen()
        # a collector where the milter should be; nobody at all
        daemons.conf.write_text(daemons.conf.read_text().replace(
            "milter-status", "collector-status", 1))
        text = daemons.ctl("health", code=2)
        assert "the answer is not popgate-milter's" in text
    daemons.configure()
    text = daemons.ctl("health", code=2)
    assert "Connection refused" in text
    os.unlink(daemons.socket("milter"))
    daemons.start("milter")


def test_removed_sockets(daemons):
    """The status and metrics of both daemons come back; a file in the way is
    said, and critical."""
    for name in ("milter", "collector"):
        for page in ("status", "metrics"):
            daemons.socket(name, page).unlink()
            wait_for(daemons.socket(name, page).is_socket, f"{name} {page}")
            wait_for(lambda: daemons.health(name)["sockets_good"], "health")
        path = daemons.socket(name, "metrics")
        path.unlink()
        path.write_text("")
        wait_for(lambda: not daemons.health(name)["sockets_good"], "trouble")
        out = daemons.ctl("health", code=2)
        assert f"popgate-{name}'s sockets: metrics.{name}: {path} is gone" \
            in out
        path.unlink()
        wait_for(lambda: daemons.health(name)["sockets_good"], "its end")


def test_reload(daemons):
    text = daemons.ctl("reload")
    for name in ("milter", "collector"):
        assert f"popgate-{name} (pid {daemons.processes[name].pid}): in " \
            "force" in text
        assert daemons.health(name)["reloads"] == 1
    # nobody but the collector looks at this; the result comes back
    daemons.configure(
        collector='custom = ( { program = "x"; pattern = "(?<ip>"; } );')
    text = daemons.ctl("reload", code=78)
    assert "popgate-milter (pid" in text
    assert "popgate-collector refused it, the old configuration stays: " \
        in text
    health = daemons.health("collector")
    assert health["reload_good"] is False and health["reload_text"]
    assert "configuration: the old one stays" in daemons.ctl("health", code=1)
    # a bad one isn't given to them at all
    daemons.configure(rest="nothing: { };")
    daemons.ctl("reload", code=78)
    assert daemons.health("milter")["reloads"] == 2
    daemons.configure()
    daemons.ctl("reload")
    assert daemons.health("collector")["reload_good"] is True


def test_hostile_clients(daemons):
    """None of it is answered with a page, and all is well afterwards."""
    for path in ("/", "/health/", "/../etc/passwd", "/metrics", "/%00"):
        assert daemons.request("milter", path=path)[0].status == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
        assert daemons.request("milter", method=method)[0].status == 405
    answer, text = daemons.request("milter", method="HEAD")
    assert answer.status == 200 and text == ""
    rubbish = [b"", b"\0" * 100, b"GET /health", b"\xff" * 70000,
               b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
               b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: "
               b"99999999999999999999\r\n\r\n", b"\r\n" * 1000,
               b"GET " + b"/" * 65536 + b" HTTP/1.1\r\n\r\n"]
    for name in ("milter", "collector"):
        held = []
        for i in range(100):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(10)
            s.connect(str(daemons.socket(name)))
            try:
                s.sendall(rubbish[i % len(rubbish)])
            except OSError:
                pass            # hung up on, quite right
            held.append(s)
        # while many hold their connections, the daemon does its work
        assert daemons.processes[name].poll() is None
        if name == "milter":
            assert "action=" in daemons.ask("203.0.113.9", "a@x.test")
        for s in held:
            s.close()
        wait_for(lambda: daemons.health(name)["daemon"], "an answer")


def test_not_for_a_network(tmp_path):
    d = Daemons(tmp_path)
    for where in ("inet:0.0.0.0:9808", "inet:192.0.2.1:9808", "9808",
                  "inet:9808", "inet:[::]:9808", "inet:mail.lab.test:9808"):
        for key in ("milter", "collector"):
            d.conf.write_text(f'\nmetrics: {{ {key} = "{where}"; }};\n')
            for name in ("milter", "collector"):
                done = subprocess.run(
                    [BUILD / f"popgate-{name}", "-t", "-c", d.conf],
                    capture_output=True, text=True)
                assert done.returncode == 78
                assert f"popgate.conf:2: metrics.{key}: expected " \
                    in done.stderr


def test_loopback_and_what_cannot_be_served(tmp_path):
    """Monitoring that can't be had is said, and keeps no mail."""
    d = Daemons(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        d.conf.write_text(d.conf.read_text().replace(
            f"unix:{tmp_path}/milter-metrics.sock",
            f"inet:127.0.0.1:{port}").replace(
                f"unix:{tmp_path}/collector-metrics.sock",
                "unix:/nonexistent/x.sock"))
        d.start("milter")
        d.start("collector")
        assert re.match("action=[45]5[01] ", d.ask("203.0.113.9", "a@x.test"))
        d.close()
    for name, why in (("milter", "Address already in use"),
                      ("collector", "directory /nonexistent")):
        text = d.said(PROGRAMS[name])
        assert re.search(rf"/metrics: not served: .*{why}", text)
    d.start("milter")
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        assert {f.name for f in text_string_to_metric_families(text)} > \
            {"popgate_sessions", "popgate_decisions"}
    finally:
        d.close()


def test_modes(daemons):
    """Group popgate may ask, the world may not."""
    for name in ("milter", "collector"):
        for page in ("status", "metrics"):
            mode = pathlib.Path(daemons.socket(name, page)).stat().st_mode
            assert mode & 0o777 == 0o660
