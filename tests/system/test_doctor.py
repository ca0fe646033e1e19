# SPDX-License-Identifier: ISC
"""popgatectl doctor names what is wrong, and nothing else."""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

import doctor_cases
from doctor_cases import CASES, Case, write
from lab.process import wait_for

BUILD = pathlib.Path(os.environ["POPGATE_BUILD"])
TOP = pathlib.Path(__file__).parents[2]
CTL = BUILD / "popgatectl"
# makemap, as if Sendmail were installed
os.environ["PATH"] += f":{doctor_cases.LIBEXEC}"


NETNS = """ip link set lo up
{machine}exec "$@"
"""


def doctor(*args, conf, before=(), env=None):
    # Sendmail's and Exim's tables are those of what their copies say
    read = [] if {"sendmail", "exim"} & set(args) else ["--read"]
    if "exim" in args and "--config-dir" in args:
        # in a copy, root can't mount: its user has to be there before
        where = pathlib.Path(args[args.index("--config-dir") + 1]).parent
        if (where / "passwd").exists():
            before = [*before, "unshare", "-m", "sh", "-ec",
                      f"mount --bind {where}/passwd /etc/passwd; "
                      f"mount --bind {where}/group /etc/group; "
                      'exec "$@"', "sh"]
    return subprocess.run(
        [*before, CTL, "-c", conf, "doctor", *read, *map(str, args)],
        capture_output=True, text=True, timeout=120,
        env=env and {**os.environ, **env})


def namespace(machine):
    """The words before a command that run it on such a machine."""
    return ["unshare", "-n", "sh", "-ec", NETNS.format(machine=machine),
            "sh"] if machine else []


def examine(path, mta, conf, *more, **how):
    """The findings of an MTA's configuration."""
    if mta == "sendmail" and "--program" not in more:
        more += ("--program", doctor_cases.LIBEXEC / "sendmail")
    done = doctor("--mta", mta, "--config-dir", path, "--json", *more,
                  conf=conf, **how)
    assert done.returncode in (0, 1, 2), done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == ["info", "warning", "open-relay"].index(
        report["worst"])
    return report["findings"]


def bad(findings):
    return [f for f in findings if f["severity"] != "info"]


@pytest.fixture
def directory():
    """Where daemons that give root away can read; pytest's own is closed.
    Not below /tmp: Sendmail reads nothing where everybody can write."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="doctor-", dir="/srv"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.mta}: {c.name}")
def test_case(case, directory):
    path = write(case, directory)
    more = ["--program", directory / "exim"] if case.mta == "exim" else []
    findings = examine(path, case.mta, directory / "popgate.conf", *more,
                       before=namespace(case.machine))
    got = {f["id"] for f in bad(findings)}
    assert got == ({case.want} if case.want else set()), findings
    if case.info:
        assert case.info in {f["id"] for f in findings}
    for f in bad(findings):
        assert f["why"] and f["fix"]
        if case.want:
            assert pathlib.Path(f["file"]).exists()


def test_the_matrix_is_large():
    wrong = [c for c in CASES if c.want]
    assert len(wrong) >= 60
    assert len({(c.mta, c.name) for c in CASES}) == len(CASES)


@pytest.mark.parametrize("case", doctor_cases.EXIM_CASES,
                         ids=lambda c: c.name)
def test_exim_agrees(case, directory):
    """Exim does (exim -bh) what the table says of it."""
    conf = write(case, directory)
    said = subprocess.run(
        [directory / "exim", "-C", conf, "-bh", "203.0.113.9"],
        input=f"EHLO {case.how.get('helo', 'stranger')}\r\n"
              f"MAIL FROM:<{case.how.get('sender', 'x@evil.test')}>\r\n"
              f"RCPT TO:<{case.how.get('recipient', 'x@elsewhere.test')}>\r\n"
              "QUIT\r\n", capture_output=True, text=True, timeout=60).stdout
    if case.want == "exim-config-writable" and not said:
        return          # it doesn't even read such a file
    assert "\n250 OK" in said, said
    assert ("250 Accepted" in said) == case.open, said


def test_one_finding_a_setting(directory):
    """However many networks it holds, and services have it."""
    networks = [f"10.{n}.0.0/16" for n in range(60)]
    case = Case("many", "postfix", "", {"mynetworks": ", ".join(networks)},
                smtpd="    -o mynetworks=$main",
                master="".join(
                    f"{port} inet n - n - - smtpd\n"
                    "    -o smtpd_sasl_auth_enable=yes\n"
                    "    -o mynetworks=198.51.0.0/16\n"
                    for port in (2501, 2502, 2503)))
    case.main["main"] = "10.0.0.0/16 10.1.0.0/16"
    write(case, directory)
    findings = bad(examine(directory, "postfix", directory / "popgate.conf"))
    wide = [f for f in findings if f["id"] == "postfix-mynetworks-wide"]
    assert len(wide) == 2, wide
    assert "198.51.0.0/16." in wide[1]["detail"]
    for service in ("2502", "2503"):
        assert f"service {service} (line " in wide[1]["detail"]
    auth = [f for f in findings if f["id"] == "postfix-auth-without-tls"]
    assert len(auth) == 1 and "service 2503" in auth[0]["detail"], auth
    case = Case("many", "postfix", "", {"mynetworks": ", ".join(networks)})
    write(case, directory)
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    assert "10.0.0.0/16, 10.1.0.0/16, " in f["detail"]
    assert len(f["detail"]) < 600 and f["detail"].endswith(" ....")


def test_exim_lines(directory):
    """Of several statements that look alike, the one that it is."""
    path = write(doctor_cases.exim(
        "lines", "", "  accept\n    hosts = :\n"
        "  accept\n    senders = *@friend.test\n"), directory)
    f, = bad(examine(path, "exim", directory / "popgate.conf",
                     "--program", directory / "exim"))
    lines = path.read_text().splitlines()
    assert lines[f["line"] - 1].strip() == "accept"
    assert lines[f["line"]].strip() == "senders = *@friend.test"


# --- defaults and our own wirings: nothing to put right ---

def test_debian_postfix(directory):
    """main.cf of the package's proto, and what debconf writes."""
    main = pathlib.Path("/usr/share/postfix/main.cf.debian").read_text()
    (directory / "main.cf").write_text(main + """
myhostname = mx.ours.test
mydestination = $myhostname, mx.ours.test, localhost.test, , localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
inet_interfaces = all
recipient_delimiter = +
""")
    (directory / "master.cf").write_text(
        pathlib.Path("/usr/share/postfix/master.cf.dist").read_text())
    conf = directory / "popgate.conf"
    conf.write_text(doctor_cases.CONF)
    findings = examine(directory, "postfix", conf)
    assert bad(findings) == []
    # its 454 to strangers is an answer
    assert "gave no answer" not in str(findings)


def test_debian_postfix_with_submission(directory):
    """The services that master.cf has ready behind a #."""
    test_debian_postfix(directory)
    master = directory / "master.cf"
    text = re.sub(r"(?m)^#((submission|submissions|smtps) inet |  -o )",
                  r"\1", master.read_text())
    master.write_text(text)
    with open(directory / "main.cf", "a") as main:
        main.write("mua_client_restrictions =\nmua_helo_restrictions =\n"
                   "mua_sender_restrictions =\n")
    findings = examine(directory, "postfix", directory / "popgate.conf")
    assert bad(findings) == []


def test_debian_sendmail(directory):
    mc = (doctor_cases.PACKAGE /
          "usr/share/sendmail/cf/debian/sendmail.mc").read_text()
    mc = mc.replace("/usr/share/sendmail/cf",
                    f"{doctor_cases.PACKAGE}/usr/share/sendmail/cf")
    mc = re.sub(r"(?m)^include\(`/etc/mail.*$", "", mc)
    mc = mc.replace("FEATURE(`access_db', , `skip')",
                    f"FEATURE(`access_db', `hash -T<TMPF> -o "
                    f"{directory}/access', `skip')")
    mc = mc.replace("FEATURE(`use_cw_file')", "FEATURE(`use_cw_file')\n"
                    f"define(`confCW_FILE', `-o {directory}/names')\n"
                    f"define(`confCT_FILE', `-o {directory}/trusted')\n"
                    f"define(`confCR_FILE', `-o {directory}/relay')\n")
    (directory / "sendmail.mc").write_text(mc)
    (directory / "access").write_text(
        "Connect:localhost RELAY\nGreetPause:localhost 0\n"
        "Connect:127 RELAY\nConnect:IPv6:::1 RELAY\n")
    cf = subprocess.run(
        ["m4", f"-D_CF_DIR_={doctor_cases.PACKAGE}/usr/share/sendmail/cf/",
         directory / "sendmail.mc"], capture_output=True, text=True).stdout
    assert "Basic_check_rcpt" in cf
    (directory / "sendmail.cf").write_text(cf)
    conf = directory / "popgate.conf"
    conf.write_text(doctor_cases.CONF)
    assert bad(examine(directory / "sendmail.cf", "sendmail", conf)) == []


def test_debian_exim(directory):
    """The package's template, with what debconf's "internet site" sets."""
    write(doctor_cases.EXIM_CASES[0], directory)
    template = (BUILD / "exim/etc/exim4/exim4.conf.template").read_text()
    macros = f"""UPEX4CmacrosUPEX4C = 1
MAIN_PACKAGE_VERSION=4.96
MAIN_LOCAL_DOMAINS=@:localhost:mx.ours.test
MAIN_RELAY_TO_DOMAINS=
ETC_MAILNAME=mx.ours.test
LOCAL_DELIVERY=mail_spool
MAIN_RELAY_NETS=: 127.0.0.1 : ::::1
DCreadhost=
DCsmarthost=
DC_eximconfig_configtype=internet
DCconfig_internet=1
MAIN_LOG_SELECTOR=+all
log_file_path = {directory}/log/%slog
"""
    conf = directory / "exim.conf"
    conf.write_text(template.replace("UPEX4CmacrosUPEX4C = 1", macros))
    findings = examine(conf, "exim", directory / "popgate.conf",
                       "--program", directory / "exim")
    assert bad(findings) == []
    not_wired = "popgate-not-wired"
    assert not_wired in {f["id"] for f in findings}
    with open(conf, "a") as end:
        end.write("# .include_if_exists /etc/popgate/exim-closed.conf\n")
    assert not_wired in {f["id"] for f in examine(
        conf, "exim", directory / "popgate.conf", "--read")}
    end = conf.read_text().replace("begin acl\n", "begin acl\n\n"
        ".include_if_exists /etc/popgate/exim-closed.conf\n", 1)
    conf.write_text(end)
    assert not_wired not in {f["id"] for f in examine(
        conf, "exim", directory / "popgate.conf", "--read")}


@pytest.mark.parametrize("name", ["closed.cf", "closed-socketmap.cf",
                                  "sole-gate.cf"])
def test_wiring_postfix(directory, name):
    case = Case(name, "postfix", "", conf=doctor_cases.CONF)
    write(case, directory)
    with open(directory / "main.cf", "a") as main:
        main.write((TOP / "etc/postfix" / name).read_text())
    findings = examine(directory, "postfix", directory / "popgate.conf")
    assert bad(findings) == []
    ids = {f["id"] for f in findings}
    assert "popgate-not-wired" not in ids
    assert ("postfix-sole-gate" in ids) == (name == "sole-gate.cf")


@pytest.mark.parametrize("options", [[], ["--socketmap"], ["--sole-gate"]])
def test_wiring_that_is_printed(directory, options):
    case = Case("wiring", "postfix", "", conf=doctor_cases.CONF.replace(
        "/run/popgate", "/run/elsewhere"))
    write(case, directory)
    text = subprocess.run(
        [CTL, "-c", directory / "popgate.conf", "wiring", "postfix",
         *options], capture_output=True, text=True, check=True).stdout
    assert "/run/elsewhere/" in text
    with open(directory / "main.cf", "a") as main:
        main.write(text)
    findings = examine(directory, "postfix", directory / "popgate.conf")
    assert bad(findings) == []
    assert "popgate-not-wired" not in {f["id"] for f in findings}


@pytest.mark.parametrize("name", ["closed.m4", "sole-gate.m4"])
def test_wiring_sendmail(directory, name):
    include = f"include(`{TOP}/etc/sendmail/{name}')"
    before = name == "sole-gate.m4"
    case = Case(name, "sendmail", "", conf=doctor_cases.CONF,
                before=include if before else "",
                after="" if before else include)
    cf = write(case, directory)
    findings = examine(cf, "sendmail", directory / "popgate.conf")
    assert bad(findings) == []
    ids = {f["id"] for f in findings}
    assert "popgate-not-wired" not in ids
    assert ("sendmail-sole-gate" in ids) == before


# --- the output ---

OPEN = next(c for c in CASES if c.name == "mynetworks is the world")
GOOD = CASES[0]


def rewrite(case, directory):
    write(case, directory)
    return ["--mta", "postfix", "--config-dir", directory]


def test_people_read_worst_first(directory):
    case = Case("two", "postfix", "", {
        "mynetworks": "0.0.0.0/0", "allow_untrusted_routing": "yes"})
    done = doctor(*rewrite(case, directory),
                  conf=directory / "popgate.conf")
    assert done.returncode == 2
    at = [done.stdout.index(text) for text in (
        "Strangers can relay (1)", "postfix-mynetworks-open",
        f"{directory}/main.cf:", "What to do", "postconf -c",
        "To put right (1)", "postfix-untrusted-routing",
        "Good to know", "This server relays for strangers.")]
    assert at == sorted(at)


def test_lines_are_those_of_the_files(directory):
    args = rewrite(OPEN, directory)
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    line = pathlib.Path(f["file"]).read_text().splitlines()[f["line"] - 1]
    assert line.startswith("mynetworks =")
    case = next(c for c in CASES if c.name == "a whitelist of sender domains")
    args = rewrite(case, directory)
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    assert f["file"] == f"{directory}/senders" and f["line"] == 1
    case = next(c for c in CASES if c.name == "mynetworks of one service")
    rewrite(case, directory)
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    line = (directory / "master.cf").read_text().splitlines()[f["line"] - 1]
    assert "-o mynetworks" in line and args


def test_a_fix_puts_it_right(directory):
    """The doctor's commands can be pasted."""
    rewrite(OPEN, directory)
    conf = directory / "popgate.conf"
    f, = bad(examine(directory, "postfix", conf))
    command = f["fix"].splitlines()[0]
    assert command.startswith("postconf ")
    subprocess.run(["sh", "-ec", command], check=True)
    assert bad(examine(directory, "postfix", conf)) == []


def test_changes(directory):
    conf, state = directory / "popgate.conf", directory / "state"
    said = []
    for case in (GOOD, OPEN, OPEN, GOOD, GOOD):
        done = doctor(*rewrite(case, directory), "--changes", state,
                      conf=conf)
        assert done.returncode == (2 if case is OPEN else 0), done.stderr
        said.append(done.stdout)
    assert said[0] == said[2] == said[4] == ""
    assert "New: Strangers can relay (1)" in said[1]
    assert "No longer found (1)" in said[3]
    assert "postfix-mynetworks-open" in said[3]
    assert sorted(p.name for p in directory.glob("state*")) == ["state"]


def test_changes_of_what_is_not_known(directory):
    """Said once, and when it is known again."""
    conf, state = directory / "popgate.conf", directory / "state"
    state.write_text("")                # a disk was full
    unknown = Case("policy", "postfix", "", {
        "smtpd_relay_restrictions": "permit_mynetworks, check_policy_service "
        "unix:private/other, reject_unauth_destination"})
    said = []
    for case in (unknown, unknown, GOOD):
        done = doctor(*rewrite(case, directory), "--read", "--changes", state,
                      conf=conf)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "postfix-policy-unknown" in said[0]
    assert said[1] == ""
    assert "postfix-policy-unknown" in said[2] and "No longer" in said[2]


def test_changes_of_a_foreign_file(directory):
    state = directory / "state"
    state.write_text("precious\n")
    done = doctor(*rewrite(OPEN, directory), "--changes", state,
                  conf=directory / "popgate.conf")
    assert done.returncode == 65 and "--changes" in done.stderr
    assert state.read_text() == "precious\n"


def mailer(directory, exit_status=0):
    bin = directory / "bin"
    bin.mkdir(exist_ok=True)
    (bin / "sendmail").write_text(
        f"#!/bin/sh\necho \"$@\" >{directory}/args\n"
        f"cat >{directory}/mail\nexit {exit_status}\n")
    (bin / "sendmail").chmod(0o755)
    return {"PATH": f"{bin}:{os.environ['PATH']}"}


def test_mail(directory):
    conf, state = directory / "popgate.conf", directory / "state"
    args = [*rewrite(OPEN, directory), "--changes", state, "--mail-to",
            "root@ours.test"]
    done = doctor(*args, conf=conf, env=mailer(directory, 75))
    assert done.returncode == 75 and not state.exists()
    done = doctor(*args, conf=conf, env=mailer(directory))
    assert done.returncode == 2 and done.stdout == ""
    mail = (directory / "mail").read_text()
    assert (directory / "args").read_text() == "-i -- root@ours.test\n"
    assert re.match(r"To: root@ours.test\nSubject: popgatectl doctor on .*: "
                    r"OPEN RELAY\n", mail)
    assert "postfix-mynetworks-open" in mail
    (directory / "mail").unlink()
    done = doctor(*args, conf=conf, env=mailer(directory))
    assert done.returncode == 2 and not (directory / "mail").exists()


@pytest.mark.parametrize("address", ["-Cx", "a b", "a,b", "a;b", "", "|x"])
def test_mail_to_no_address(directory, address):
    done = doctor(*rewrite(OPEN, directory), f"--mail-to={address}",
                  conf=directory / "popgate.conf", env=mailer(directory))
    assert done.returncode == 64 and not (directory / "mail").exists()


# --- what can go wrong ---

def test_no_mta_of_that_name(directory):
    write(GOOD, directory)
    conf = directory / "popgate.conf"
    assert doctor("--mta", "qmail", conf=conf).returncode == 64
    assert doctor("--config-dir", "/x", conf=conf).returncode == 64
    assert doctor("a.list", conf=conf).returncode == 64


def test_no_mta(directory):
    """popgate alone is looked at: mta-none."""
    write(GOOD, directory)
    done = doctor("--json", conf=directory / "popgate.conf", before=[
        "unshare", "-m", "sh", "-ec",
        "for d in /etc/postfix /etc/mail /etc/exim4 /etc/exim /var/lib/exim4; "
        'do [ ! -d $d ] || mount -t tmpfs none $d; done; exec "$@"', "sh"])
    ids = {f["id"] for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0 and {"mta-none", "popgate-no-logins"} <= ids


def test_exim_by_another_program(directory):
    """Debian's light Exim knows no PROXY: exim-proxy-protocol."""
    write(GOOD, directory)
    conf = directory / "exim.conf"
    conf.write_text("hosts_proxy = 198.51.0.0/16\nacl_smtp_rcpt = a\n"
                    "begin acl\na:\n  deny\n")
    program = directory / "exim"
    program.write_text("#!/bin/sh\n[ $1$3 = -C-bV ]\n")
    program.chmod(0o755)
    f, = [f for f in bad(examine(conf, "exim", directory / "popgate.conf",
                                 "--program", program))
          if f["id"] != "exim-not-rehearsed"]
    assert f["id"] == "exim-proxy-protocol" and f["line"] == 1


MX = next(case for case in CASES if case.name == "whoever lists us")


def mx_findings(directory, *more):
    conf = directory / "exim.conf"
    found = examine(conf, "exim", directory / "popgate.conf", *more)
    for f in found:
        if f["id"] == "exim-mx":
            assert f["severity"] == "warning" and f["detail"] == "@mx_any"
            assert "@mx_any" in pathlib.Path(f["file"]).read_text(
                ).splitlines()[f["line"] - 1]
    return {f["id"] for f in bad(found)}


def test_mx_is_read_where_nothing_is_rehearsed(directory):
    """exim-mx; a rehearsal calls it exim-domains-open (the case itself)."""
    conf = write(MX, directory)
    assert mx_findings(directory, "--read") == {"exim-mx"}
    # a copy that doesn't start
    program = directory / "no-exim"
    program.write_text("#!/bin/sh\n[ $1$3 = -C-bV ]\n")
    program.chmod(0o755)
    assert mx_findings(directory, "--program", program) == \
        {"exim-mx", "exim-not-rehearsed"}
    # and one that isn't started
    shutil.chown(conf, "nobody")
    assert mx_findings(directory, "--program", directory / "exim") == \
        {"exim-mx", "exim-not-rehearsed"}


# sendmail-unreadable and exim-unreadable are among these
@pytest.mark.parametrize("mta, path", [
    ("postfix", "/nonexistent"), ("sendmail", "/nonexistent.cf"),
    ("exim", "/nonexistent.conf"), ("sendmail", "/"), ("exim", "/dev/zero"),
    ("sendmail", "/dev/zero")])
def test_nothing_to_read(directory, mta, path):
    """A file that can't be read is a finding, not silence."""
    write(GOOD, directory)
    f, = bad(examine(path, mta, directory / "popgate.conf"))
    assert f["id"] == f"{mta}-unreadable" and f["severity"] == "warning"


def test_control_characters(directory):
    """Nothing of a configuration gets at the terminal."""
    nasty = "\x1b[2J\x07\u202e\x9b31m"
    case = Case("nasty", "postfix", "", {
        "mynetworks": "0.0.0.0/0",
        "smtpd_relay_restrictions":
        f"check_sender_access inline:{{{{x{nasty}=OK}}}}, "
        f"no{nasty}thing, reject_unauth_destination"})
    done = doctor(*rewrite(case, directory), conf=directory / "popgate.conf")
    assert done.returncode == 2 and "postfix-sender-permits" in done.stdout
    for output in (done.stdout, doctor(
            *rewrite(case, directory), "--json",
            conf=directory / "popgate.conf").stdout):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output)


def test_nothing_runs(directory):
    """A value that somebody pastes does no harm."""
    evil = "x';touch${IFS}pwned;'"
    case = Case("evil", "postfix", "", {
        "smtpd_relay_restrictions":
        "check_sender_access inline:{{a=OK}}, reject_unauth_destination",
        "mynetworks": f"0.0.0.0/0 `touch<{directory}/pwned` ;id"})
    args = rewrite(case, directory)
    (directory / "senders").write_text(evil + " OK\n")
    done = doctor(*args, conf=directory / "popgate.conf")
    assert done.returncode == 2
    assert not (directory / "pwned").exists()
    findings = examine(directory, "postfix", directory / "popgate.conf")
    for f in findings:
        assert "`" not in f["fix"] and "touch" not in f["fix"]


def fake(directory, name, text):
    bin = directory / "bin"
    bin.mkdir(exist_ok=True)
    (bin / name).write_text("#!/bin/sh\n" + text)
    (bin / name).chmod(0o755)
    return {"PATH": f"{bin}:{os.environ['PATH']}"}


def test_postconf_that_hangs(directory):
    """It is ended, with all that it started, and said so."""
    args = rewrite(GOOD, directory)
    pid = directory / "pid"
    done = doctor(*args, "--json", conf=directory / "popgate.conf",
                  env=fake(directory, "postconf",
                           f"sleep 1000 & echo $! >{pid}\nwait\n"))
    f, = bad(json.loads(done.stdout)["findings"])
    assert f["id"] == "postfix-unreadable" and "in time" in f["detail"]
    status = pathlib.Path("/proc", pid.read_text().strip(), "stat")

    def gone():
        try:
            return " Z " in status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
    wait_for(gone, "the end of what postconf had started")


@pytest.mark.parametrize("text, words", [
    ("exit 3\n", "status 3"), ("kill -9 $$\n", "signal 9"),
    ("echo 'fatal: bad thing' >&2; exit 1\n", "fatal: bad thing"),
    ("yes\n", "prints more")])
def test_postconf_that_fails(directory, text, words):
    args = rewrite(GOOD, directory)
    done = doctor(*args, "--json", conf=directory / "popgate.conf",
                  env=fake(directory, "postconf", text))
    f, = bad(json.loads(done.stdout)["findings"])
    assert f["id"] == "postfix-unreadable" and words in f["detail"]


def test_loops(directory):
    """Classes that call themselves, tables that hold themselves."""
    case = Case("loop", "postfix", "", {
        "smtpd_restriction_classes": "a, b",
        "a": "b", "b": "a, check_sender_access inline:{{x=a}}",
        "smtpd_relay_restrictions":
        "permit_mynetworks, a, reject_unauth_destination",
        "mynetworks": "127.0.0.0/8 {dir}/networks"},
        files={"networks": ""})
    rewrite(case, directory)
    (directory / "networks").write_text(f"{directory}/networks\n")
    findings = examine(directory, "postfix", directory / "popgate.conf")
    assert bad(findings) == []


def test_tables_that_hold_each_other(directory):
    """An end is found, and that it wasn't understood is said."""
    case = Case("maze", "postfix", "", {
        "smtpd_restriction_classes": "a",
        "a": "check_sender_access texthash:{dir}/a, " * 3 + "a, a, a",
        "smtpd_relay_restrictions":
        "permit_mynetworks, a, reject_unauth_destination"},
        files={"a": "".join(f"s{i}.test a\n" for i in range(100))})
    rewrite(case, directory)
    findings = examine(directory, "postfix", directory / "popgate.conf")
    assert "postfix-not-understood" in {f["id"] for f in findings}


def test_huge_files(directory):
    case = Case("huge", "postfix", "", {
        "smtpd_relay_restrictions":
        "permit_mynetworks, check_sender_access texthash:{dir}/senders, "
        "reject_unauth_destination"},
        files={"senders": "".join(f"s{i}.test REJECT\n"
                                  for i in range(100000)) +
               "friend.test OK\n"})
    rewrite(case, directory)
    with open(directory / "main.cf", "a") as main:
        for i in range(50000):
            main.write(f"# comment {i}\n")
        main.write("header_size_limit = " + "1" * 100 + "\n")
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    assert f["id"] == "postfix-sender-permits" and f["line"] == 100001


def test_syslog_from_the_network(directory):
    """The log that the collector believes must not take lines from all."""
    write(GOOD, directory)
    rsyslog = directory / "rsyslog.conf"
    before = ["unshare", "-m", "sh", "-ec",
              f'mount --bind {rsyslog} /etc/rsyslog.conf; exec "$@"', "sh"]
    conf = directory / "popgate.conf"
    conf.write_text(doctor_cases.CONF +
                    'collector: { sources = ( '
                    '{ file = "/var/log/mail.log"; } ); };\n')
    for text, want in (("module(load=\"imuxsock\")\n#module(load=\"imudp\")\n",
                        []),
                       ("module(load=\"imuxsock\")\n"
                        "module(load=\"imudp\")\n",
                        [("popgate-syslog-network", 2)]),
                       ("$ModLoad imtcp\n$InputTCPServerRun 514\n",
                        [("popgate-syslog-network", 1)])):
        rsyslog.write_text(text)
        got = [(f["id"], f["line"]) for f in bad(examine(
            directory, "postfix", conf, before=before))]
        assert got == want
    # the journal says who wrote a line
    conf.write_text(doctor_cases.CONF + 'collector: { sources = ( '
                    '{ journal = "system"; } ); };\n')
    assert bad(examine(directory, "postfix", conf, before=before)) == []


def test_stale_collector(directory):
    case = next(c for c in CASES if c.name == "a good entry")
    write(case, directory)
    with sqlite3.connect(directory / "logins.db") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(source)")]
        values = {"name": "file:/var/log/mail.log", "fingerprint": ""}
        db.execute(f"INSERT INTO source ({','.join(columns)}) VALUES "
                   f"({','.join('?' * len(columns))})",
                   [values.get(c, 1000) for c in columns])
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    assert f["id"] == "popgate-collector-stale"


def test_machines_that_share(directory):
    """Servers that are shared in clear, or away from this machine, are
    findings."""
    case = next(c for c in CASES if c.name == "a good entry")
    write(case, directory)
    conf = directory / "popgate.conf"
    conf.write_text(conf.read_text() + 'share: { servers = [ '
                    '"unix:/run/redis", "127.0.0.1:6379", "[::1]:6379", '
                    f'"192.0.2.10:6379" ]; key_file = "{directory}/key"; }};\n')

    def ids():
        return {f["id"] for f in examine(directory, "postfix", conf)
                if f["id"].startswith("popgate-share-")}
    assert ids() == {"popgate-share-plain", "popgate-share-away"}
    with sqlite3.connect(directory / "logins.db") as db:
        db.execute("INSERT INTO share (id, origin, published, scanned, entry, "
                   "server, position, heard_at, skew_s, trouble) VALUES "
                   "(1, '', 0, 0, '', '', '', unixepoch(), 5, '')")
    assert ids() == {"popgate-share-plain"}
    with sqlite3.connect(directory / "logins.db") as db:
        db.execute("UPDATE share SET skew_s = -90, heard_at = heard_at - 900")
        db.execute("INSERT INTO share_refused VALUES "
                   "('forged', 3, unixepoch()), ('copy', 1, 5)")
    assert ids() == {"popgate-share-plain", "popgate-share-away",
                     "popgate-share-clock", "popgate-share-refused"}


def test_an_entry_for_the_world(directory):
    """popgatectl add doesn't take it; an import by hand does."""
    case = next(c for c in CASES if c.name == "a good entry")
    write(case, directory)
    with sqlite3.connect(directory / "logins.db") as db:
        db.execute("UPDATE login SET client = '0.0.0.0/0'")
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    assert f["id"] == "popgate-entry-open"
    assert f["fix"] == "popgatectl delete 0.0.0.0/0"


def test_damaged_table(directory):
    case = next(c for c in CASES if c.name == "a good entry")
    write(case, directory)
    (directory / "logins.db").write_bytes(b"no database" * 1000)
    f, = bad(examine(directory, "postfix", directory / "popgate.conf"))
    assert f["id"] == "popgate-table-unreadable"


# --- every day ---

def test_cron_and_timer(directory):
    """The commands of both, as they stand there, with other paths."""
    write(OPEN, directory)
    state = directory / "state"
    line = next(text for text in
                (TOP / "etc/cron.d/popgate-doctor").read_text().splitlines()
                if text.split()[1:2] == ["5"])
    cron = line.split("root", 1)[1]
    unit = (TOP / "etc/systemd/popgate-doctor.service").read_text()
    service = re.search("(?m)^ExecStart=(.*)$", unit)[1]
    for command in (cron, service):
        command = command.replace("@SBIN@/", "").replace(
            "/var/lib/popgate-doctor", str(state)).replace(
            "popgatectl doctor", f"{CTL} -c {directory}/popgate.conf doctor "
            f"--mta postfix --config-dir {directory}")
        state.mkdir(exist_ok=True)
        (state / "found").unlink(missing_ok=True)
        done = subprocess.run(["sh", "-ec", command], capture_output=True,
                              text=True, env={**os.environ,
                                              **mailer(directory)})
        assert done.returncode == 2, done.stderr
        told = done.stdout or (directory / "mail").read_text()
        assert "postfix-mynetworks-open" in told
        assert (state / "found").exists()


def test_units_are_good(directory):
    if not shutil.which("systemd-analyze"):
        pytest.fail("systemd-analyze is missing")
    units = [f"popgate-{name}.{kind}" for name in ("doctor", "report")
             for kind in ("service", "timer")]
    for name in units:
        (directory / name).write_text(
            (TOP / "etc/systemd" / name).read_text().replace(
                "@SBIN@/popgatectl", str(CTL)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no",
         *(directory / name for name in units)],
        capture_output=True, text=True)
    assert "popgate-" not in done.stderr, done.stderr


# --- the page ---

def kinds():
    """The table of findings in the source: id, severity."""
    text = (TOP / "ctl/doctor/kinds.c").read_text()
    return re.findall(
        r'{\s*"([a-z0-9-]+)",\s*(?:SEVERITY_)?(INFO|WARN|OPEN)', text)


def test_the_page_lists_every_finding():
    words = {"INFO": "info", "WARN": "warning", "OPEN": "open relay"}
    want = {name: words[severity] for name, severity in kinds()}
    assert len(want) > 100
    page = (TOP / "docs/DOCTOR.md").read_text()
    got = dict(re.findall(r"(?m)^### ([a-z0-9-]+) \((.*)\)$", page))
    assert got == want
    # and says something of each
    for section in re.split(r"(?m)^### ", page)[1:]:
        assert len(section.split("\n", 1)[1].split()) >= 8, section


def test_every_finding_is_tested():
    """Of the readers; what the modes find has tests of its own."""
    done = {c.want for c in CASES} | {c.info for c in CASES}
    # said when a minute was not enough, which no test waits for
    done.add("exim-not-understood")
    text = "".join(pathlib.Path(__file__).with_name(name).read_text()
                   for name in ("test_doctor.py", "test_doctor_asked.py",
                                "test_asked.py",
                                "test_rehearsal_postfix.py",
                                "test_rehearsal_sendmail.py",
                                "test_rehearsal_exim.py"))
    missing = [name for name, _ in kinds()
               if name.split("-")[0] in ("postfix", "sendmail", "exim",
                                         "popgate", "mta")
               and name not in done and name not in text]
    assert not missing, missing
