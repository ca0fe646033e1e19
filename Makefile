# popgate - see README.md; `make help` lists the targets.
VERSION  := 0.1.0
PREFIX   ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR  ?=
BUILD    ?= build
CC       ?= gcc
CFLAGS   ?= -O2 -g
PYTHON   ?= /usr/bin/python3

PKGS     := sqlite3 libconfig libidn2 libpcre2-8 libsystemd zlib
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
	     -Icommon -Imilter -Icollector -Ictl $(WARN) $(HARDEN) \
	     $(shell pkg-config --cflags $(PKGS)) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS) $(LDFLAGS)
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread

srcs      = $(wildcard $(1)/*.c)
objs      = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON   := $(call objs,$(call srcs,common)) $(BUILD)/obj/sql.o
MILTER   := $(call objs,$(call srcs,milter))
COLLECTOR := $(call objs,$(call srcs,collector))
CTL      := $(call objs,$(call srcs,ctl))
# what popgatectl and the tests share with the daemons
PARSE    := $(filter-out $(BUILD)/obj/collector/main.o,$(COLLECTOR))
GATE     := $(filter-out $(BUILD)/obj/milter/main.o,$(MILTER))

PROGRAMS := $(BUILD)/popgate-milter $(BUILD)/popgate-collector \
	    $(BUILD)/popgatectl
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,\
	    $(wildcard tests/unit/test_*.c))

.DELETE_ON_ERROR:
.PHONY: all deps build-deps check unit system test demo san tsan analyze \
	format format-check fuzz bench install uninstall clean help

all: $(PROGRAMS)                ## build the three programs (default)

$(BUILD)/obj/sql.c: $(wildcard sql/*.sql) common/embed-sql.sh
	@mkdir -p $(@D)
	sh common/embed-sql.sh sql > $@

$(BUILD)/obj/sql.o: $(BUILD)/obj/sql.c
	$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -c -o $@ $<

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libpopgate.a: $(COMMON)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/popgate-milter: $(MILTER) $(BUILD)/libpopgate.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lmilter $(LIBS)

$(BUILD)/popgate-collector: $(COLLECTOR) $(BUILD)/libpopgate.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/popgatectl: $(CTL) $(PARSE) $(BUILD)/libpopgate.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/unit/%: tests/unit/%.c $(PARSE) $(BUILD)/libpopgate.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(PARSE) \
	    $(BUILD)/libpopgate.a -lcmocka $(LIBS)

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/unit/*.d)
