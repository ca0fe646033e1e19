# tests.mk - what is for those who work on popgate: tests, measuring, reading.
# The Makefile includes it.

built     = $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/$(1).c))
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
JOBS     ?= $(shell nproc)
# tests wait more than they compute: twice as many run at once
RUNNING  ?= $(shell echo $$((2 * $(JOBS))))
# and those on real servers wait most
WAITING  ?= $(shell echo $$((3 * $(JOBS))))
UNIT     := $(call built,unit/*/test_*)
DAEMON   := $(call built,daemon/test_*)
FUZZ     := $(call built,fuzz/fuzz_*)
BENCH    := $(filter-out %/mclient %/clients,$(call built,bench/*))
TOOLS    := $(call built,system/*)
SOURCES  := $(patsubst $(BUILD)/obj/%.o,%.c,$(COMMON) $(COLLECTOR) $(MILTER) \
	    $(CTL))

$(BUILD)/unit/%: LIBS += -lcmocka
$(BUILD)/daemon/%: LIBS += -lcmocka
# between any two of these calls others get a turn
$(BUILD)/unit/logs/test_follow_between: LDFLAGS += $(foreach f,open64 pread64 \
	    __pread64_chk stat64 fstat64 opendir readdir64,-Wl,--wrap=$(f))
# what the proof asks is stood in for
$(BUILD)/unit/ctl/test_setup_proof: LDFLAGS += $(foreach f,live_ask_user \
	    audit_open_reader audit_each audit_close_reader,-Wl,--wrap=$(f))
$(BUILD)/fuzz/%: LDFLAGS += -fsanitize=fuzzer
$(UNIT) $(FUZZ) $(TOOLS): $(LIBRARIES)
$(filter $(BUILD)/unit/power/%,$(UNIT)): $(call objs,tests/proof/disk.c)
$(BUILD)/system/confined: LIBS += -lseccomp
$(BUILD)/system/confined $(DAEMON): | $(BUILD)/system/calls
$(BUILD)/system/calls:
	@mkdir -p $(@D)
	$(Q)systemd-analyze syscall-filter > $@
$(DAEMON): $(call objs,tests/bench/mclient.c tests/daemon/lab.c)
$(BUILD)/fuzz/fuzz_milter: $(call objs,tests/bench/mclient.c)
$(BENCH): $(call objs,tests/bench/mclient.c tests/bench/clients.c) \
	    $(BUILD)/libcommon.a
$(UNIT) $(DAEMON) $(FUZZ) $(BENCH) $(TOOLS): $(BUILD)/%: tests/%.c Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $(linked)

check-build: $(PROGRAMS) $(UNIT) $(DAEMON) $(TOOLS)
bench-build: $(PROGRAMS) $(BENCH)
fuzz-build: $(FUZZ)

# as many at once as make is told to run, those first that take longest
LONGEST  := $(addprefix run/$(BUILD)/,unit/logs/test_follow_histories \
	    unit/logs/test_follow_between daemon/test_log daemon/test_sockets unit/logs/test_follow \
	    daemon/test_fair unit/db/test_audit daemon/test_stop \
	    unit/power/test_power_audit)
RUNS     := $(addprefix run/,$(DAEMON) $(UNIT))
# Debian's package is built with the unit tests, and without libseccomp
$(addprefix run/,$(DAEMON)): $(BUILD)/system/confined
$(RUNS): run/%: % $(PROGRAMS)
	@echo "== $<"; POPGATE_BUILD=$(BUILD) $<

check: $(LONGEST) arrows banned fresh hardened unit daemon	## all tests but those on real servers
arrows:				## do includes point down only?
banned:				## is no function used that must not be?
arrows banned:
	sh tests/$@.sh
hardened: $(PROGRAMS)		## are the programs built as HARDEN says?
	$(if $(findstring FORTIFY,$(HARDEN)),sh tests/hardened.sh $(BUILD))
map:				## make docs/MAP.md from the first comments
	sh tests/map.sh --write
fresh:				## is docs/MAP.md as make map would make it?
	sh tests/map.sh
unit: $(addprefix run/,$(UNIT))		## run the unit tests
daemon: $(addprefix run/,$(DAEMON))	## speak the protocols to the real daemons

# at once: the tests have network namespaces and directories of their own
system: $(PROGRAMS) $(DAEMON) $(TOOLS)	## run the tests on real mail servers (as root)
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) $(PYTHON) -m pytest -q \
	    -p no:cacheprovider -n $(WAITING) --dist loadfile tests/system

# A proof is a target proof-NAME and its name here: docs/TESTING.md.
PROOFS   := bounded model mcdc power reproducible fleet soak faults
proof: $(PROGRAMS)		## run every proof, print a table (as root; hours)
	@MAKE="$(MAKE)" sh tests/proof/all.sh $(PROOFS)

proof-bounded:			## prove the policy for all inputs up to a bound (CBMC; as root)
	$(SUDO) sh tests/proof/cbmc/run.sh
proof-model:			## prove what the processes do together (Spin)
	sh tests/proof/model/run.sh
proof-mcdc: $(LIBRARIES)	## is each condition seen to decide? (as root, if gcc < 14)
	$(Q)sh tests/proof/mcdc.sh

# 10,000 worlds each of the audit, and of the collector with and without logs that
# lose their end; a world has four or five lives
proof-power: export POPGATE_POWER ?= 10000
proof-power: $(addprefix run/,$(filter $(BUILD)/unit/power/%,$(UNIT)))	## let the disk lose its power, again and again

proof-reproducible:		## build twice what is committed: equal byte for byte?
	sh tests/proof/reproducible.sh

# each call of each kind fails once, in every program: hours (POPGATE_FAULTS=8:
# so many of each kind, minutes)
$(BUILD)/proof/fault.so: tests/proof/fault.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -O1 -g -Wall -shared -fPIC -o $@ $<
proof-faults: $(PROGRAMS) $(TOOLS) $(BUILD)/proof/fault.so	## let every system call and allocation fail once (as root)
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) $(PYTHON) -m pytest -q \
	    -p no:cacheprovider -n $(JOBS) $(wildcard tests/proof/test_*_faults.py)

# three machines, a Redis and its replica: every fault, and 200 kills
$(BUILD)/proof/clock.so: tests/proof/clock.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -D_GNU_SOURCE -O1 -g -Wall -shared -fPIC -o $@ $<
proof-fleet: $(PROGRAMS) $(BUILD)/proof/clock.so	## what may happen to machines that share one gate (as root)
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) $(PYTHON) -m pytest -q \
	    -p no:cacheprovider tests/proof/test_fleet.py

# POPGATE_SOAK=600: so many seconds, instead of four hours
proof-soak: $(PROGRAMS)		## three machines at work for hours, watched from outside (as root)
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) $(PYTHON) -m pytest -q -s \
	    -p no:cacheprovider tests/proof/test_soak.py

# one room or all: nothing but unit tests, in a /tmp of their own
ROOM     ?=
MUTANTS_ARGS ?=
mutants-flags: $(LIBRARIES)
	$(info $(ALL_CFLAGS))
	$(info $(ALL_LDFLAGS) $(LIBS))
	$(info $(CTL))
	$(info $(COLLECTOR))
	$(info $(MILTER))
	$(info $(COMMON) $(BUILD)/obj/sql.o)
mutants: $(LIBRARIES)		## change a token at a time: does a unit test notice? (ROOM=policy)
	$(Q)sh tests/proof/mutants.sh $(MUTANTS_ARGS) $(ROOM)

# another build beside this one: its name, and its CFLAGS
beside    = $(MAKE) -j$(if $(filter check,$(3)),$(RUNNING),$(JOBS)) -O \
	    BUILD=build-$(1) CFLAGS="$(2)" $(3)
test san tsan matrix analyze fuzz fuzz-replay: export WERROR = 1

# random histories where each is slow; make check plays thousands
san tsan: export POPGATE_HISTORIES = 100
san tsan: export POPGATE_POWER = 10
SAN_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	    -fno-sanitize-recover=all
# what it adds to the code confuses gcc's flow analysis
TSAN_FLAGS := -O1 -g -fsanitize=thread -Wno-maybe-uninitialized
tsan: export TSAN_OPTIONS = suppressions=$(CURDIR)/tests/tsan.supp halt_on_error=0

san:				## unit and daemon tests under ASan and UBSan
	$(call beside,san,$(SAN_FLAGS),check-build)
	$(call beside,san,$(SAN_FLAGS),check)

tsan:				## unit and daemon tests under TSan
	$(call beside,tsan,$(TSAN_FLAGS),check-build)
	$(call beside,tsan,$(TSAN_FLAGS),check)

# clang counts in files that outlive SIGKILL; an assertion that holds is no
# branch to be taken. COVER=check: without the tests on real servers
COVER    ?= check system
COVER_FLAGS := -O1 -g -DNDEBUG -fprofile-instr-generate -fcoverage-mapping
COVER_MAKE = CC=$(CLANG) CPPFLAGS="-mllvm -runtime-counter-relocation"
cover: export POPGATE_HISTORIES = 100
cover:				## what the tests reach, by line and branch (as root; COVER=check: fewer)
	$(call beside,cover,$(COVER_FLAGS),$(COVER_MAKE) check-build)
	rm -rf build-cover/raw
	-for t in $(COVER); do $(PYTHON) tests/cover.py build-cover run $(MAKE) \
	    -k -j$(RUNNING) -O BUILD=build-cover $(COVER_MAKE) \
	    CFLAGS="$(COVER_FLAGS)" $$t; done
	CLANG=$(CLANG) $(PYTHON) tests/cover.py build-cover report

matrix:				## build by each compiler here, at -O0 to -flto; i386
	sh tests/matrix.sh

# libFuzzer is clang's; seeds and finds are in tests/fuzz/corpus
CLANG    := $(firstword $(shell command -v clang clang-14 2>/dev/null) clang)
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	    -fno-sanitize-recover=all
fuzz:        FUZZ_ARGS := -max_total_time=$(FUZZ_SECONDS)
fuzz-replay: FUZZ_ARGS := -runs=0
fuzz:				## fuzz each parser for FUZZ_SECONDS (60)
fuzz-replay:			## run each fuzzer's corpus once
fuzz fuzz-replay:
	$(call beside,fuzz,$(FUZZ_FLAGS),CC=$(CLANG) fuzz-build)
	@for f in $(notdir $(FUZZ)); do d=tests/fuzz/corpus/$${f#fuzz_}; \
	    mkdir -p $$d; echo "== $$f"; build-fuzz/fuzz/$$f -verbosity=0 \
	    -print_final_stats=0 $(FUZZ_ARGS) $$d || exit 1; done

deps:				## install what building needs, and nothing else
	sh tests/deps.sh build
test-deps:			## install what the tests need, mail servers included
	sh tests/deps.sh test

test: test-deps			## install what is needed, run every test
	$(MAKE) -j$(JOBS) check-build
	$(MAKE) -j$(RUNNING) -O check
	$(MAKE) -j2 other-builds system
# while real servers wait, and leave the processors idle
other-builds:
	$(MAKE) san
	$(MAKE) tsan
	$(MAKE) fuzz-replay

RELEASE  ?= trixie
test-release:			## the README's commands on a bare Debian (RELEASE=bookworm); as root
	sh tests/release.sh $(RELEASE)

test-package:			## make Debian packages and boot them (RELEASE=bookworm); as root
	sh tests/package.sh $(RELEASE)

MTA      ?= postfix
demo:				## the whole story on real servers (MTA=sendmail)
	sh tests/deps.sh demo-$(MTA)
	$(MAKE) all
	POPGATE_BUILD=$(abspath $(BUILD)) $(SUDO) $(PYTHON) \
	    tests/system/demo.py $(MTA)

# --- measuring ---

bench:				## measure the milter against a bare filter
bench-postfix:			## measure what popgate costs a real Postfix (as root)
bench-ctl:			## measure popgatectl on large tables
bench-collector:		## measure parser and collector
bench-report:			## measure a report of ten million decisions (3 GB)
bench-share:			## measure what sharing between machines costs
bench bench-postfix bench-ctl bench-collector bench-report bench-share: bench-build
bench:
	$(PYTHON) tests/bench/bench.py --build $(BUILD)
	$(BUILD)/bench/bench_limiter $(BUILD)/bench
	$(BUILD)/bench/bench_sessions $(BUILD)/bench
	$(PYTHON) tests/bench/bench_ctl.py --build $(BUILD)
	-$(SUDO) $(PYTHON) tests/bench/bench_postfix.py --build $(BUILD)
bench-postfix:
	$(SUDO) $(PYTHON) tests/bench/bench_postfix.py --build $(BUILD)
bench-ctl:
	$(PYTHON) tests/bench/bench_ctl.py --build $(BUILD)
bench-collector:
	$(PYTHON) tests/bench/gen_maillog.py 2000000 > $(BUILD)/bench/maillog
	$(BUILD)/bench/bench_parse $(BUILD)/bench/maillog tests/bench/parse.pl
	rm -f $(BUILD)/bench/maillog
	-$(PYTHON) tests/bench/bench_collector.py \
	    --build $(abspath $(BUILD)) --dir $(abspath $(BUILD))/bench
bench-report:
	$(PYTHON) tests/bench/bench_report.py --build $(BUILD)
bench-share:
	$(PYTHON) tests/bench/bench_share.py --build $(BUILD)

# --- reading ---

# gcc 12's analyzer loses track of memory that a structure holds, and of what
# an assert said; LeakSanitizer and clang's analyzer don't
FANALYZER := -fanalyzer -Wno-analyzer-malloc-leak \
	    -Wno-analyzer-null-dereference -Wno-analyzer-file-leak

# one file: make tidy/common/base/addr.c
TIDY     := $(firstword $(shell command -v clang-tidy clang-tidy-14) clang-tidy)
TIDIED   := $(addprefix tidy/,$(SOURCES))
.PHONY: $(TIDIED)
tidy: $(TIDIED)			## clang-tidy alone
$(TIDIED): tidy/%: | $(BUILD)/obj/sql.c
	$(call say,TIDY,$*)
	$(Q)$(TIDY) --quiet --warnings-as-errors='*' $* -- -std=c17 $(OURS) \
	    $(PKG_CFLAGS) 2>/dev/null

# -k: all that is found is shown before it fails
analyze: $(BUILD)/obj/sql.c	## clang, clang-tidy, cppcheck, -fanalyzer, mandoc
	for m in $(MAN); do mandoc -T lint -W warning $$m || exit 1; done
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j $(JOBS) \
	    --enable=warning,portability --suppress=missingIncludeSystem \
	    --suppress=duplicateAssignExpression $(OURS) $(SOURCES)
	$(MAKE) -k -j$(JOBS) -O check-build BUILD=build-clang CC=$(CLANG) \
	    CFLAGS="-O2 -g -Werror=thread-safety"
	$(MAKE) -k -j$(JOBS) -O all BUILD=build-analyzer \
	    CFLAGS="-O2 -g $(FANALYZER)"
	$(MAKE) -k -j$(JOBS) -O tidy

FORMAT    = $(shell git ls-files '*.c' '*.h')
format:				## settle the layout by clang-format
	clang-format -i $(FORMAT)
format-check:			## is there anything for format to do?
	clang-format --dry-run --Werror $(FORMAT)
