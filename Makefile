# make            build/aditd and build/adit, no root needed        make demo   see it work (root)
# make check      every test, installing what is missing (root)     make fuzz   run the fuzzers on
# make bench      measure it beside others (root)                   make bench-scale   the same with 1 to 10,000 peers
# make bench-micro  ns and instructions of the hot functions        make install, uninstall  honour DESTDIR and PREFIX
# make check-all  and what check takes samples of, whole (an hour)
# make deb        a Debian package in build/                        make check-deb   install, use and remove it, elsewhere (root)
# Variables: CC=gcc|clang  SANITIZE=1 (ASan, UBSan)|thread (TSan)  BUILD=folder  V=1 (show the commands)
#            SODIUM_DIR=prefix (its include and lib in place of the system's libsodium; `scripts/newest libsodium` makes one)
#            OPENSSL_DIR=prefix (the same for OpenSSL, from 3.5; `scripts/newest openssl` makes one)

BUILD    ?= build
PREFIX   ?= /usr/local
CC       ?= cc
PKGS     := $(if $(SODIUM_DIR),,libsodium) libb2 libnl-3.0 libnl-route-3.0 libseccomp libcap-ng libnftables jansson
VERSION  := 0.1

# ctl links only what it may know; a room below never links a room above (DESIGN: a breach is a link error).
ROOMS    := crypto daemon/conf daemon/proto kernel-iface daemon/data

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 \
            -Wimplicit-fallthrough -Wundef -Wwrite-strings -Wcast-qual -Werror=implicit-function-declaration
HARDEN   := -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero -fPIE
LDHARDEN := -pthread -pie -Wl,--as-needed -Wl,-z,relro,-z,now,-z,noexecstack
ifneq ($(filter x86_64 i%86,$(shell uname -m)),)
HARDEN   += -fcf-protection=full
endif

# clang before 16 takes the flag only with this admission; gcc does not know it.
CLANG    := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
ifdef CLANG
HARDEN   += $(shell echo | $(CC) -ftrivial-auto-var-init=zero -E - >/dev/null 2>&1 || \
              echo -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif

ifeq ($(SANITIZE),thread)
override BUILD := $(BUILD)/thread
HARDEN   := -fPIE -fsanitize=thread -fno-omit-frame-pointer -DADIT_SANITIZE=1
LDHARDEN := -pthread -pie -fsanitize=thread
OPT      ?= -O1 -g1
else ifdef SANITIZE
override BUILD := $(BUILD)/sanitize
HARDEN   := -fPIE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DADIT_SANITIZE=1
LDHARDEN := -pthread -pie -fsanitize=address,undefined
OPT      ?= -O1 -g1
else
OPT      ?= -O2 -g
HARDEN   += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif

# Another libsodium than the system's, found again at run time by its absolute path; the tests read SODIUM_DIR too.
ifdef SODIUM_DIR
$(if $(wildcard $(SODIUM_DIR)/include/sodium.h),,$(error SODIUM_DIR: there is no $(SODIUM_DIR)/include/sodium.h))
override SODIUM_DIR := $(abspath $(SODIUM_DIR))
override BUILD := $(BUILD)/sodium
export SODIUM_DIR
SODIUM_CFLAGS := -I$(SODIUM_DIR)/include
SODIUM_LIBS   := -L$(SODIUM_DIR)/lib -Wl,-rpath,$(SODIUM_DIR)/lib -lsodium
endif

# Optional, x86-64: ipsec-mb is found by its header, for it has no .pc file. HAVE_IPSEC_MB= builds without.
HAVE_IPSEC_MB ?= $(shell $(CC) -include intel-ipsec-mb.h -E -x c /dev/null >/dev/null 2>&1 && echo -DHAVE_IPSEC_MB)

# Optional: ML-KEM-768. Where libsodium has none (crypto/mlkem.c asks its header), OpenSSL 3.5 gives it, and is linked only
# then (--as-needed). HAVE_OPENSSL_MLKEM= builds without. One of OPENSSL_DIR may want a newer libc than is linked here.
ifdef OPENSSL_DIR
$(if $(wildcard $(OPENSSL_DIR)/include/openssl/evp.h),,$(error OPENSSL_DIR: there is no $(OPENSSL_DIR)/include/openssl/evp.h))
override OPENSSL_DIR := $(abspath $(OPENSSL_DIR))
override BUILD := $(BUILD)/openssl
HAVE_OPENSSL_MLKEM := -DHAVE_OPENSSL_MLKEM
OPENSSL_CFLAGS := -I$(OPENSSL_DIR)/include
OPENSSL_LIBS   := -L$(OPENSSL_DIR)/lib -Wl,-rpath,$(OPENSSL_DIR)/lib -Wl,--allow-shlib-undefined -lcrypto
endif
HAVE_OPENSSL_MLKEM ?= $(shell pkg-config --exists 'libcrypto >= 3.5' 2>/dev/null && echo -DHAVE_OPENSSL_MLKEM)
HAVE := $(HAVE_IPSEC_MB) $(HAVE_OPENSSL_MLKEM)
PKGS_HAVE := $(if $(OPENSSL_DIR),,$(if $(HAVE_OPENSSL_MLKEM),libcrypto))

PKG_CFLAGS := $(SODIUM_CFLAGS) $(OPENSSL_CFLAGS) $(shell pkg-config --cflags $(PKGS) $(PKGS_HAVE) 2>/dev/null)
CFLAGS_ALL := -std=gnu17 $(OPT) $(CPPFLAGS) $(WARN) $(HARDEN) -I. -D_GNU_SOURCE -DADIT_VERSION='"$(VERSION)"' $(HAVE) \
              $(PKG_CFLAGS) $(CFLAGS)
LIBS     := $(SODIUM_LIBS) $(OPENSSL_LIBS) $(shell pkg-config --libs $(PKGS) $(PKGS_HAVE) 2>/dev/null) $(if $(HAVE_IPSEC_MB),-lIPSec_MB)

Q := $(if $(V),,@)
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c))
archive = $(BUILD)/lib/$(subst /,-,$(1)).a

.PHONY: all demo install uninstall deb clean
.DELETE_ON_ERROR:
.SECONDARY:
all: $(BUILD)/aditd $(BUILD)/adit

# A missing library is named here, not by the linker.
$(BUILD)/.pkgs:
	$(Q)mkdir -p $(BUILD)
	$(Q)pkg-config --exists $(PKGS) || { echo "make: libraries are missing; as root: scripts/deps build" >&2; \
	    pkg-config --print-errors --exists $(PKGS); exit 1; }
	$(Q)touch $@

$(BUILD)/obj/%.o: %.c | $(BUILD)/.pkgs
	$(Q)mkdir -p $(@D)
	$(if $(V),,@echo "  CC      $<")
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define room_rule
$(call archive,$(1)): $(call objs,$(1))
	$(Q)mkdir -p $$(@D)
	$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach room,$(ROOMS),$(eval $(call room_rule,$(room))))

AR_crypto := $(call archive,crypto)
AR_conf   := $(call archive,daemon/conf)
AR_proto  := $(call archive,daemon/proto)
AR_kernel := $(call archive,kernel-iface)
AR_data   := $(call archive,daemon/data)

$(BUILD)/aditd: $(call objs,daemon) $(AR_data) $(AR_proto) $(AR_conf) $(AR_kernel) $(AR_crypto)
	$(if $(V),,@echo "  LINK    $@")
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDHARDEN) -o $@ $^ $(LIBS)

$(BUILD)/adit: $(call objs,ctl) $(AR_conf) $(AR_crypto)
	$(if $(V),,@echo "  LINK    $@")
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDHARDEN) -o $@ $^ $(LIBS)

include tests/tests.mk

# mode:source:target. What install puts there, uninstall takes away; of the folders, only the last one is ours.
DOC     := share/doc/adit
UNITS   := $(patsubst scripts/systemd/%.in,$(BUILD)/systemd/%,$(wildcard scripts/systemd/*.in))
INSTALL := 0755:$(BUILD)/aditd:sbin/aditd 0755:$(BUILD)/adit:bin/adit \
           0644:scripts/man/aditd.8:share/man/man8/aditd.8 0644:scripts/man/adit.8:share/man/man8/adit.8 \
           0644:scripts/man/tunnel.conf.5:share/man/man5/tunnel.conf.5 \
           0644:scripts/completion/adit.bash:share/bash-completion/completions/adit \
           0644:scripts/completion/_adit:share/zsh/site-functions/_adit \
           $(foreach unit,$(UNITS),0644:$(unit):lib/systemd/system/$(notdir $(unit))) \
           0644:scripts/systemd/adit.sysusers:lib/sysusers.d/adit.conf 0644:scripts/systemd/adit.tmpfiles:lib/tmpfiles.d/adit.conf \
           $(foreach doc,README.md LICENSE tunnel.conf docs/recipes.md docs/session-upgrade.md,0644:$(doc):$(DOC)/$(notdir $(doc)))

# Made anew each time: PREFIX may be another.
.PHONY: $(UNITS)
$(UNITS): $(BUILD)/systemd/%: scripts/systemd/%.in
	$(Q)mkdir -p $(@D)
	$(Q)sed 's|@BINDIR@|$(PREFIX)/bin|g; s|@SBINDIR@|$(PREFIX)/sbin|g' $< >$@

install: all $(UNITS)
	$(Q)set -e; for row in $(INSTALL); do \
	    mode=$${row%%:*} from=$${row#*:}; to="$(DESTDIR)$(PREFIX)/$${from##*:}"; \
	    echo "  INSTALL $$to"; install -D -m "$$mode" "$${from%:*}" "$$to"; \
	done

uninstall:
	$(Q)set -e; for row in $(INSTALL); do rm -f "$(DESTDIR)$(PREFIX)/$${row##*:}"; done
	$(Q)rmdir "$(DESTDIR)$(PREFIX)/$(DOC)" 2>/dev/null || [ ! -d "$(DESTDIR)$(PREFIX)/$(DOC)" ] || \
	    echo "make: $(DESTDIR)$(PREFIX)/$(DOC) is left: there is something of others in it" >&2

# Builds with a compiler and flags of its own: what this make was told does not matter.
deb:
	BUILD=$(BUILD) VERSION=$(VERSION) scripts/deb

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
