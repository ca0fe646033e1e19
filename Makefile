# popgate - see README.md; `make help` lists the targets.
VERSION  := 0.1.0
PREFIX   ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR  ?=
BUILD    ?= build
CC       ?= gcc
CFLAGS   ?= -O2 -g
PYTHON   ?= /usr/bin/python3

PKGS     := sqlite3 libconfig libidn2 libpcre2-8 libsystemd zlib \
	    liblzma libzstd libmicrohttpd libcares
WARN     := -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
	    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	    -Wframe-larger-than=8192 -Werror
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	    -fstack-clash-protection -fcf-protection -fPIE
# the sanitizers and FORTIFY don't go together
ifneq (,$(findstring -fsanitize,$(CFLAGS)))
HARDEN   := -fPIE
WARN     := $(filter-out -Wframe-larger-than=8192,$(WARN))
endif
ifeq (,$(filter x86_64 i686,$(shell uname -m)))
HARDEN   := $(filter-out -fcf-protection,$(HARDEN))
endif
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -DPOPGATE_VERSION='"$(VERSION)"' \
	     -I. $(WARN) $(HARDEN) \
	     $(shell pkg-config --cflags $(PKGS)) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS) $(LDFLAGS)
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lbz2 -lpthread \
	    -lm

# a room is a folder; what is in it is built
objs      = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
rooms     = $(call objs,$(wildcard $(addsuffix *.c,$(1))))
COMMON   := $(call rooms,common/*/ common/grammar/servers/) $(BUILD)/obj/sql.o
COLLECTOR := $(call rooms,collector/ collector/sources/)
MILTER   := $(call rooms,milter/ milter/libmilter/)
CTL      := $(call rooms,ctl/ ctl/*/ ctl/doctor/*/)

PROGRAMS := $(BUILD)/popgate-milter $(BUILD)/popgate-collector \
	    $(BUILD)/popgatectl
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,\
	    $(wildcard tests/unit/*/test_*.c))
DAEMON   := $(patsubst tests/daemon/%.c,$(BUILD)/daemon/%,\
	    $(wildcard tests/daemon/test_*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,\
	    $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
MAN      := $(wildcard docs/man/*.[1-8])

ifeq ($(V),)
Q        := @
say       = @echo "  $(1)	$(2)"
endif

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-print-directory
.PHONY: all deps arrows unit daemon system check test demo san tsan analyze \
	format format-check fuzz fuzz-replay bench bench-postfix \
	bench-collector bench-ctl \
	install uninstall clean help

all: $(PROGRAMS)		## build the three programs (default)

$(BUILD)/obj/sql.c: $(wildcard sql/*.sql) common/db/embed-sql.sh
	@mkdir -p $(@D)
	$(call say,SQL,$@)
	$(Q)sh common/db/embed-sql.sh sql > $@

$(BUILD)/obj/sql.o: $(BUILD)/obj/sql.c
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -c -o $@ $<

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# a program takes from an archive what it uses, and a test what it tests
$(BUILD)/libcommon.a: $(COMMON)
$(BUILD)/libcollector.a: $(COLLECTOR)
$(BUILD)/libmilterd.a: $(MILTER)
$(BUILD)/libctl.a: $(CTL)
$(BUILD)/lib%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# popgatectl wiring prints these files
$(BUILD)/obj/ctl/commands/wiring.o: $(wildcard etc/postfix/* etc/sendmail/*)

link      = $(CC) $(ALL_LDFLAGS) -o $@ $(filter-out Makefile,$^) $(1) $(LIBS)

$(BUILD)/popgate-milter: $(MILTER) $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(call link,-lmilter)

$(BUILD)/popgate-collector: $(COLLECTOR) $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(link)

$(BUILD)/popgatectl: $(CTL) $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(link)

# --- tests ---

LIBRARIES := $(addprefix $(BUILD)/lib,ctl.a collector.a milterd.a common.a)

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< \
	    $(LIBRARIES) -lcmocka $(LIBS)

LAB      := $(BUILD)/obj/tests/bench/mclient.o $(BUILD)/obj/tests/daemon/lab.o

$(BUILD)/daemon/%: tests/daemon/%.c $(LAB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(LAB) \
	    -lcmocka $(LIBS)

# as many at once as make is told to run
RUNS     := $(addprefix run/,$(DAEMON) $(UNIT))
.PHONY: $(RUNS)
$(RUNS): run/%: % $(PROGRAMS)
	@echo "== $<"; POPGATE_BUILD=$(BUILD) $<

unit: $(addprefix run/,$(UNIT))		## run the unit tests

daemon: $(addprefix run/,$(DAEMON))	## speak the protocols to the real daemons

system: $(PROGRAMS) $(DAEMON)		## run the tests on real mail servers (as root)
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) $(PYTHON) -m pytest -q \
	    -p no:cacheprovider -n $(JOBS) --dist loadfile tests/system
# at once: the tests have network namespaces and directories of their own
JOBS     ?= $(shell nproc)

arrows:				## do includes point down only?
	sh tests/arrows.sh

check: arrows unit daemon	## arrows, unit and daemon tests

.PHONY: check-build
check-build: $(PROGRAMS) $(UNIT) $(DAEMON)

# random histories where each is slow; make check plays thousands
FEW        := 100
SAN_FLAGS  := -O1 -g -fno-omit-frame-pointer \
	      -fsanitize=address,undefined -fno-sanitize-recover=all
# what it adds to the code confuses gcc's flow analysis
TSAN_FLAGS := -O1 -g -fsanitize=thread -Wno-maybe-uninitialized

san:				## unit and daemon tests under ASan and UBSan
	$(MAKE) -j$(JOBS) check-build BUILD=build-san CFLAGS="$(SAN_FLAGS)"
	POPGATE_HISTORIES=$(FEW) $(MAKE) -j$(JOBS) -O check BUILD=build-san \
	    CFLAGS="$(SAN_FLAGS)"

tsan:				## unit and daemon tests under TSan
	$(MAKE) -j$(JOBS) check-build BUILD=build-tsan CFLAGS="$(TSAN_FLAGS)"
	TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp halt_on_error=0" \
	    POPGATE_HISTORIES=$(FEW) \
	    $(MAKE) -j$(JOBS) -O check BUILD=build-tsan CFLAGS="$(TSAN_FLAGS)"

# --- fuzzing: libFuzzer, with clang; seeds and finds in tests/fuzz/corpus ---

FUZZ_CC    := $(firstword $(shell command -v clang clang-14 2>/dev/null) clang)
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	      -fno-sanitize-recover=all

$(BUILD)/fuzz/%: tests/fuzz/%.c $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer,address,undefined \
	    -o $@ $< $(LIBRARIES) $(LIBS)

.PHONY: fuzz-build fuzz-run
fuzz-build: $(FUZZ)
fuzz-run: $(FUZZ)
	@for f in $(FUZZ); do d=tests/fuzz/corpus/$${f##*/fuzz_}; \
	    mkdir -p $$d; echo "== $$f"; \
	    $$f -verbosity=0 -print_final_stats=0 $(FUZZ_ARGS) $$d || exit 1; \
	done

fuzz:				## fuzz each parser for FUZZ_SECONDS (60)
	$(MAKE) fuzz-run BUILD=build-fuzz CC=$(FUZZ_CC) \
	    CFLAGS="$(FUZZ_FLAGS)" \
	    FUZZ_ARGS="-max_total_time=$(FUZZ_SECONDS)"

fuzz-replay:			## run each fuzzer's corpus once
	$(MAKE) -j$(JOBS) fuzz-build BUILD=build-fuzz CC=$(FUZZ_CC) \
	    CFLAGS="$(FUZZ_FLAGS)"
	$(MAKE) fuzz-run BUILD=build-fuzz CC=$(FUZZ_CC) \
	    CFLAGS="$(FUZZ_FLAGS)" FUZZ_ARGS="-runs=0"

# --- the two commands of the README ---

test:				## install what is needed, run every test
	sh tests/deps.sh test
	$(MAKE) -j$(JOBS) check-build
	$(MAKE) -j$(JOBS) -O check
	$(MAKE) san
	$(MAKE) tsan
	$(MAKE) fuzz-replay
	$(MAKE) system

demo:				## the whole story on real servers (MTA=sendmail)
	sh tests/deps.sh demo-$(MTA)
	$(MAKE) all
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) /usr/bin/python3 \
	    tests/system/demo.py $(MTA)
MTA      ?= postfix
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)

deps:				## install what building and testing need
	sh tests/deps.sh test

# --- measuring ---

BENCH    := $(addprefix $(BUILD)/bench/,bench_milter bare_filter mklogins \
	    mkdecisions login_writer fsync_ref bench_limiter)

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/obj/tests/bench/mclient.o \
	    $(BUILD)/obj/tests/bench/clients.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lmilter $(LIBS)

$(BUILD)/bench/bench_limiter: $(BUILD)/bench/%: tests/bench/%.c \
	    $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/bench/bench_parse $(BUILD)/bench/bench_collector: \
	    $(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

bench-collector: $(PROGRAMS) $(BUILD)/bench/bench_parse \
	    $(BUILD)/bench/bench_collector	## measure parser and collector
	/usr/bin/python3 tests/bench/gen_maillog.py 2000000 \
	    > $(BUILD)/bench/maillog
	$(BUILD)/bench/bench_parse $(BUILD)/bench/maillog tests/bench/parse.pl
	rm -f $(BUILD)/bench/maillog
	-/usr/bin/python3 tests/bench/bench_collector.py --build $(abspath $(BUILD)) \
	    --dir $(abspath $(BUILD))/bench

bench: $(PROGRAMS) $(BENCH)	## measure the milter against a bare filter
	/usr/bin/python3 tests/bench/bench.py --build $(BUILD)
	$(BUILD)/bench/bench_limiter $(BUILD)/bench
	/usr/bin/python3 tests/bench/bench_ctl.py --build $(BUILD)
	-$(SUDO) /usr/bin/python3 tests/bench/bench_postfix.py --build $(BUILD)

bench-postfix: $(PROGRAMS) $(BENCH)	## measure what popgate costs a real Postfix (as root)
	$(SUDO) /usr/bin/python3 tests/bench/bench_postfix.py --build $(BUILD)

bench-ctl: $(PROGRAMS) $(BENCH)	## measure popgatectl on large tables
	/usr/bin/python3 tests/bench/bench_ctl.py --build $(BUILD)

# --- reading ---

SOURCES  := $(patsubst $(BUILD)/obj/%.o,%.c,$(filter-out %/sql.o,$(COMMON)) \
	    $(COLLECTOR) $(MILTER) $(CTL))

# gcc 12's analyzer loses track of memory that a structure holds, and of what
# an assert said; LeakSanitizer and clang's analyzer don't
FANALYZER := -fanalyzer -Wno-analyzer-malloc-leak \
	    -Wno-analyzer-null-dereference -Wno-analyzer-file-leak

analyze: $(BUILD)/obj/sql.c	## clang, clang-tidy, cppcheck, -fanalyzer, mandoc
	$(MAKE) check-build BUILD=build-clang CC=$(FUZZ_CC) \
	    CFLAGS="-O2 -g -Werror=thread-safety"
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	    --enable=warning,portability \
	    --suppress=missingIncludeSystem \
	    --suppress=duplicateAssignExpression -D_GNU_SOURCE \
	    -DPOPGATE_VERSION='"x"' -I. \
	    $(SOURCES)
	$(firstword $(shell command -v clang-tidy clang-tidy-14) clang-tidy) \
	    --quiet --warnings-as-errors='*' $(SOURCES) -- -std=c17 \
	    -D_GNU_SOURCE -DPOPGATE_VERSION='"x"' -I. 2>/dev/null
	$(MAKE) all BUILD=build-analyzer CFLAGS="-O2 -g $(FANALYZER)"
	for m in $(MAN); do mandoc -T lint -W warning $$m || exit 1; done

FORMAT   := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
format:				## settle the layout by clang-format
	clang-format -i $(FORMAT)

format-check:			## is there anything for format to do?
	clang-format --dry-run --Werror $(FORMAT)

# --- installing ---

install: all			## install below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/sbin \
	    $(DESTDIR)$(PREFIX)/share/doc/popgate/sql \
	    $(DESTDIR)$(SYSCONFDIR)/popgate \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	ln -sf popgatectl $(DESTDIR)$(PREFIX)/sbin/vsmtprelay
	for m in $(MAN); do d=$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}; \
	    install -d $$d && install -m 644 $$m $$d || exit 1; done
	[ -e $(DESTDIR)$(SYSCONFDIR)/popgate/popgate.conf ] || \
	    install -m 644 etc/popgate.conf $(DESTDIR)$(SYSCONFDIR)/popgate
	for u in etc/systemd/*.service; do sed 's|@SBIN@|$(PREFIX)/sbin|' $$u \
	    > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/} || exit 1; done
	install -m 644 etc/systemd/*.timer \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 etc/systemd/popgate.sysusers \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/popgate.conf
	install -m 644 etc/systemd/popgate.tmpfiles \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/popgate.conf
	for d in postfix sendmail dovecot grafana; do \
	    install -d $(DESTDIR)$(PREFIX)/share/doc/popgate/etc/$$d \
	        $(DESTDIR)$(SYSCONFDIR)/popgate/$$d || exit 1; \
	    for f in etc/$$d/*; do \
		new=$(DESTDIR)$(PREFIX)/share/doc/popgate/$$f; \
		own=$(DESTDIR)$(SYSCONFDIR)/popgate/$${f#etc/}; \
		cp $$f $$new || exit 1; \
		if [ ! -e $$own ]; then cp $$f $$own || exit 1; \
		elif ! cmp -s $$f $$own; then \
		    echo "kept $$own; ours is $$new"; fi; done; done
	cp -r sql/queries $(DESTDIR)$(PREFIX)/share/doc/popgate/sql
	install -m 644 README.md docs/*.md etc/cron.d/popgate-doctor \
	    $(DESTDIR)$(PREFIX)/share/doc/popgate

uninstall:			## remove programs, manuals and units
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,popgate-milter \
	    popgate-collector popgatectl vsmtprelay)
	for m in $(notdir $(MAN)); do \
	    rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m; done
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/popgate-*.service \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/popgate-*.timer \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/popgate.conf \
	    $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/popgate.conf
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/popgate

clean:				## remove what was built
	rm -rf build build-san build-tsan build-fuzz build-analyzer build-clang

help:				## print this
	@sed -n 's/^\([a-z-]*\):.*## */\1	/p' $(firstword $(MAKEFILE_LIST)) | \
	    awk -F '\t' '{ printf "  %-16s %s\n", $$1, $$2 }'
	@echo "Variables: PREFIX DESTDIR SYSCONFDIR BUILD CFLAGS V=1"

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d \
	$(BUILD)/obj/*/*/*/*.d \
	$(BUILD)/unit/*/*.d $(BUILD)/daemon/*.d)
