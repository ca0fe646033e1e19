# SPDX-License-Identifier: ISC
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
	    liblzma libzstd libmicrohttpd libcares openssl
# sharing between machines, where both are here: HAVE_SHARE= builds without it
SHARE_PKGS := hiredis libsodium
HAVE_SHARE ?= $(shell pkg-config --exists $(SHARE_PKGS) 2>/dev/null && echo yes)
ifneq (,$(HAVE_SHARE))
PKGS     += $(SHARE_PKGS)
# 1.0 and newer let TLS below them
OURS_SHARE := -DPOPGATE_SHARE $(shell pkg-config --atleast-version=1.0 hiredis \
	    && echo -DPOPGATE_SHARE_TLS)
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lmilter -lbz2 -lpthread -lm
WARN     := -Wall -Wextra -Werror=switch -Wpedantic -Wconversion -Wshadow \
	    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
# two builds are equal, wherever each was made
HARDEN   := -fPIE -ffile-prefix-map=$(CURDIR)=.
# the sanitizers and FORTIFY don't go together, nor does it with no optimizer
ifeq (,$(findstring -fsanitize,$(CFLAGS))$(findstring -O0,$(CFLAGS)))
WARN     += -Wframe-larger-than=8192
HARDEN   += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	    -fstack-clash-protection \
	    $(if $(filter x86_64% i%86%,$(shell $(CC) -dumpmachine 2>/dev/null)),-fcf-protection)
endif
# a warning ends the build of those who set this, as make test does
WERROR   ?=
OURS     := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
	    -DPOPGATE_VERSION='"$(VERSION)"' $(OURS_SHARE) -I.
ALL_CFLAGS = -std=c17 $(OURS) $(WARN) $(if $(WERROR),-Werror) $(HARDEN) \
	    $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS) $(LDFLAGS)

# a room is a folder; what is in it is built
objs      = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
rooms     = $(call objs,$(wildcard $(addsuffix *.c,$(1))))
COMMON   := $(call rooms,common/*/ common/grammar/servers/)
COLLECTOR := $(call rooms,collector/ collector/sources/)
MILTER   := $(call rooms,milter/ milter/libmilter/)
CTL      := $(call rooms,ctl/ ctl/*/ ctl/doctor/*/)

PROGRAMS := $(addprefix $(BUILD)/popgate,-milter -collector ctl)
LIBRARIES := $(addprefix $(BUILD)/lib,ctl.a collector.a milterd.a common.a)
MAN      := $(wildcard docs/man/*.[1-8])

ifeq ($(V),)
Q        := @
say       = @echo "  $(1)	$(2)"
endif

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-print-directory

all: $(PROGRAMS)		## build the three programs (default)

$(BUILD)/obj/sql.c: $(wildcard sql/*.sql) common/db/embed-sql.sh
	@mkdir -p $(@D)
	$(call say,SQL,$@)
	$(Q)sh common/db/embed-sql.sh sql > $@

$(BUILD)/obj/sql.o: $(BUILD)/obj/sql.c Makefile
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# popgatectl wiring prints these files, which its assembler includes
$(BUILD)/obj/ctl/wiring/cmd_wiring.o: override CFLAGS += -fno-lto
$(BUILD)/obj/ctl/wiring/cmd_wiring.o: $(wildcard etc/postfix/*)
$(BUILD)/obj/ctl/wiring/sendmail_load.o: override CFLAGS += -fno-lto
$(BUILD)/obj/ctl/wiring/sendmail_load.o: $(wildcard etc/sendmail/*)
# and popgatectl setup writes these
$(BUILD)/obj/ctl/setup/built_in.o: override CFLAGS += -fno-lto
$(BUILD)/obj/ctl/setup/built_in.o: etc/popgate.conf $(wildcard etc/systemd/popgate.*)
$(BUILD)/obj/ctl/wiring/exim_load.o: override CFLAGS += -fno-lto
$(BUILD)/obj/ctl/wiring/exim_load.o: etc/exim/closed.conf

# a program takes from an archive what it uses, and a test what it tests
$(BUILD)/libcommon.a: $(COMMON) $(BUILD)/obj/sql.o
$(BUILD)/libcollector.a: $(COLLECTOR)
$(BUILD)/libmilterd.a: $(MILTER)
$(BUILD)/libctl.a: $(CTL)
$(LIBRARIES):
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

linked    = $(filter %.c %.o,$^) $(filter %.a,$^) $(LIBS)

$(BUILD)/popgate-milter: $(MILTER)
$(BUILD)/popgate-collector: $(COLLECTOR)
$(BUILD)/popgatectl: $(CTL)
$(PROGRAMS): $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(linked)

include tests/tests.mk

# --- installing ---

SBIN     := $(PREFIX)/sbin
LIBDIR   := $(DESTDIR)$(PREFIX)/lib
SHARE    := $(DESTDIR)$(PREFIX)/share
DOC      := $(SHARE)/doc/popgate
CONF     := $(DESTDIR)$(SYSCONFDIR)/popgate
# where others than systemd and zsh themselves have them
UNITDIR  ?= $(PREFIX)/lib/systemd/system
ZSHDIR   ?= $(PREFIX)/share/zsh/site-functions
BASH     := $(SHARE)/bash-completion/completions/popgatectl
ZSH      := $(DESTDIR)$(ZSHDIR)/_popgatectl
UNITS    := $(DESTDIR)$(UNITDIR)

# $(call whole,COMMAND,FILE): make FILE.new by COMMAND, then FILE of it. A disk
# that is full leaves no half file that the next make install takes for the
# admin's, and no half program that init starts.
whole     = $(1) $(2).new && mv -f $(2).new $(2) || { rm -f $(2).new; exit 1; }

# what the admin has is kept
install: all			## install below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(SBIN) $(DOC)/sql $(CONF) \
	    $(UNITS) $(LIBDIR)/sysusers.d $(LIBDIR)/tmpfiles.d \
	    $(dir $(BASH) $(ZSH))
	for p in $(PROGRAMS); do \
	    $(call whole,install $$p,$(DESTDIR)$(SBIN)/$${p##*/}); done
	ln -sf popgatectl $(DESTDIR)$(SBIN)/vsmtprelay
	for m in $(MAN); do \
	    install -D -m 644 -t $(SHARE)/man/man$${m##*.} $$m || exit 1; done
	[ -e $(CONF)/popgate.conf ] || { \
	    $(call whole,install -m 644 etc/popgate.conf,$(CONF)/popgate.conf); }
	for u in etc/systemd/*.service; do sed 's|@SBIN@|$(SBIN)|' $$u \
	    > $(UNITS)/$${u##*/} || exit 1; done
	install -m 644 etc/systemd/*.timer $(UNITS)
	$(BUILD)/popgatectl completion bash > $(BASH)
	$(BUILD)/popgatectl completion zsh > $(ZSH)
	for d in sysusers tmpfiles; do install -m 644 etc/systemd/popgate.$$d \
	    $(LIBDIR)/$$d.d/popgate.conf || exit 1; done
	for d in postfix sendmail dovecot grafana; do \
	    install -d $(DOC)/etc/$$d $(CONF)/$$d || exit 1; \
	    for f in etc/$$d/*; do \
		new=$(DOC)/$$f; own=$(CONF)/$${f#etc/}; \
		cp $$f $$new || exit 1; \
		if [ ! -e $$own ]; then $(call whole,cp $$f,$$own); \
		elif ! cmp -s $$f $$own; then \
		    echo "kept $$own; ours is $$new"; fi; done; done
	install -D -m 644 -t $(DOC)/etc/exim etc/exim/closed.conf
	cp -r sql/queries $(DOC)/sql
	install -D -t $(SHARE)/popgate etc/leaving.sh
	install -m 644 README.md NEWS LICENSE docs/*.md docs/report.png \
	    etc/cron.d/popgate-doctor $(DOC)

# stops what runs, unless it is a tree for somewhere else; a PREFIX at which
# nothing is installed is a mistake
uninstall:			## stop, disable and remove popgate; say what stays
	@[ -e $(DESTDIR)$(SBIN)/popgatectl ] || { \
	    echo "uninstall: there is no $(DESTDIR)$(SBIN)/popgatectl:" \
	    "give the PREFIX= (and DESTDIR=) of make install" >&2; exit 66; }
	@sh etc/leaving.sh $(DESTDIR)
	$(Q)[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || \
	    systemctl disable --now $(notdir $(wildcard etc/systemd/*.timer)) \
	    $(notdir $(wildcard etc/systemd/*.service))
	$(Q)rm -f $(addprefix $(DESTDIR)$(SBIN)/,$(notdir $(PROGRAMS)) vsmtprelay)
	$(Q)for m in $(notdir $(MAN)); do \
	    rm -f $(SHARE)/man/man$${m##*.}/$$m; done
	$(Q)rm -f $(BASH) $(ZSH) $(UNITS)/popgate-*.service \
	    $(UNITS)/popgate-*.timer $(LIBDIR)/sysusers.d/popgate.conf \
	    $(LIBDIR)/tmpfiles.d/popgate.conf
	$(Q)rm -rf $(DOC) $(SHARE)/popgate
	$(Q)[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || \
	    systemctl daemon-reload

# out of what is committed, with Debian's tools: debian/control says which
DEB      := popgate-$(VERSION)
deb:				## make Debian packages in build-deb
	@for p in git dpkg-buildpackage dh; do command -v $$p >/dev/null || { \
	    echo "deb: $$p is not here: apt build-dep ./ (and git) first" >&2; \
	    exit 69; }; done
	rm -rf build-deb
	mkdir -p build-deb
	git archive --prefix=$(DEB)/ HEAD ':!debian' | gzip -n9 \
	    > build-deb/popgate_$(VERSION).orig.tar.gz
	git archive --prefix=$(DEB)/ HEAD | tar -x -C build-deb
	cd build-deb/$(DEB) && env -u MAKEFLAGS -u MAKELEVEL \
	    dpkg-buildpackage -us -uc

clean:				## remove what was built
	rm -rf build build-*

help:				## print this
	@sed -n 's/^\([a-z-]*\):.*## */\1	/p' \
	    Makefile tests/tests.mk | \
	    awk -F '\t' '{ printf "  %-16s %s\n", $$1, $$2 }'
	@echo "Variables: PREFIX DESTDIR SYSCONFDIR BUILD CFLAGS WERROR=1 V=1"

# every name at a line's beginning that is no file
.PHONY: $(RUNS) $(shell sed -n 's/^\([a-z][a-z -]*\):.*/\1/p' \
	    Makefile tests/tests.mk)

-include $(shell find $(addprefix $(BUILD)/,obj unit daemon system fuzz bench) -name '*.d' 2>/dev/null)
