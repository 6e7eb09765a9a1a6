# Test programs link only the rooms that they test and those below (DESIGN: a breach of the layering is a link error).

ROOMS_crypto       := $(AR_crypto)
ROOMS_conf         := $(AR_conf) $(AR_crypto)
ROOMS_proto        := $(AR_proto) $(AR_crypto)
ROOMS_kernel-iface := $(AR_kernel)
ROOMS_data         := $(AR_data) $(AR_proto) $(AR_kernel) $(AR_crypto)
ROOMS_daemon       := $(filter-out %/daemon/main.o,$(call objs,daemon)) $(AR_data) $(AR_proto) $(AR_conf) $(AR_kernel) $(AR_crypto)
ROOMS_ctl          := $(filter-out %/ctl/main.o,$(call objs,ctl)) $(AR_conf) $(AR_crypto)
ROOMS_sim          := $(AR_proto) $(AR_crypto)
FUZZ_ROOMS         := $(AR_kernel) $(AR_proto) $(AR_conf) $(AR_crypto)

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*/test_*.c))
SIM_TESTS  := $(patsubst tests/sim/%.c,$(BUILD)/tests/sim/%,$(wildcard tests/sim/test_*.c))
SIM_COMMON := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(wildcard tests/sim/test_*.c),$(wildcard tests/sim/*.c)))
FUZZERS    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_TESTS := $(FUZZERS:%=$(BUILD)/tests/fuzz/replay_%)
# Those that wait for WireGuard's timers for a minute or two come first, so that the others run beside them.
E2E_ALL    := $(sort $(wildcard tests/e2e/[0-9]*.sh))
E2E_SLOW   := $(filter %/22-remote-worker.sh %/26-interop.sh %/32-names.sh,$(E2E_ALL))
E2E_TESTS  := $(E2E_SLOW) $(filter-out $(E2E_SLOW),$(E2E_ALL))

link_test = $(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDHARDEN) -o $@ $^ $(1) $(LIBS)

define unit_rule
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(wildcard tests/unit/$(1)/test_*.c),$(wildcard tests/unit/$(1)/*.c))) $(ROOMS_$(1))
	$(Q)mkdir -p $$(@D)
	$(Q)$$(call link_test,-lcmocka)
endef
$(foreach room,crypto conf proto kernel-iface data daemon ctl,$(eval $(call unit_rule,$(room))))

$(BUILD)/tests/sim/%: $(BUILD)/obj/tests/sim/%.o $(SIM_COMMON) $(ROOMS_sim)
	$(Q)mkdir -p $(@D)
	$(Q)$(call link_test,-lcmocka)

# A fuzz target with a plain main: replays the corpus as a test, with any compiler.
$(BUILD)/tests/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(FUZZ_ROOMS)
	$(Q)mkdir -p $(@D)
	$(Q)$(call link_test,)

BENCH_TOOLS := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))
$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(AR_crypto)
	$(Q)mkdir -p $(@D)
	$(Q)$(call link_test,-lm -pthread)

MICRO_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,tests/bench/micro.c $(wildcard tests/bench/micro/*.c))
$(BUILD)/tests/bench/micro: $(MICRO_OBJS) $(AR_proto) $(AR_kernel) $(AR_crypto)
	$(Q)mkdir -p $(@D)
	$(Q)$(call link_test,)

# What the e2e scripts run beside adit and aditd.
E2E_TOOLS := $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/*.c)) $(patsubst tests/faults/%.c,$(BUILD)/tests/%.so,$(wildcard tests/faults/*.c))
$(BUILD)/tests/e2e/%: $(BUILD)/obj/tests/e2e/%.o
	$(Q)mkdir -p $(@D)
	$(Q)$(call link_test,)

# Preloaded into whatever aditd is under test: never itself with a sanitizer.
$(BUILD)/tests/%.so: tests/faults/%.c | $(BUILD)/.pkgs
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE $(CFLAGS) -fPIC -shared -o $@ $<

.PHONY: tests check check-all check-deb check-unit check-e2e check-threads check-newest-libsodium check-sodium check-newest-openssl tests-openssl fuzz bench bench-scale bench-micro
tests: $(UNIT_TESTS) $(SIM_TESTS) $(FUZZ_TESTS) $(E2E_TOOLS)

# Everything, on a fresh machine too: both compilers without a warning, every test, again under ASan and UBSan, and with
# the newest libsodium; ML-KEM with the newest OpenSSL too.
check:
	scripts/deps check
	$(MAKE) CFLAGS=-Werror all tests
	$(MAKE) CC=clang BUILD=$(BUILD)/clang OPT=-O1 CFLAGS=-Werror all tests
	$(MAKE) SANITIZE=1 CFLAGS=-Werror all tests
	$(MAKE) SANITIZE=thread CFLAGS=-Werror all tests
	$(MAKE) check-unit
	$(MAKE) SANITIZE=1 check-unit
	$(MAKE) check-e2e
	$(MAKE) SANITIZE=1 check-e2e E2E_TESTS='$(E2E_SANITIZED)'
	$(MAKE) SANITIZE=thread check-threads
	$(MAKE) SANITIZE=thread check-e2e E2E_TESTS='$(E2E_THREADED)'
	$(MAKE) check-newest-libsodium
	$(MAKE) check-newest-openssl
	$(MAKE) check-deb

# And the long form of what check takes samples of: each kernel call of up, reload and down fails once, and is once the
# last; 200 cycles of the kill switch.
check-all: check
	EVERY_CALL=1 CYCLES=200 ADITD=$(abspath $(BUILD)/aditd) ADIT=$(abspath $(BUILD)/adit) prove --timer $(E2E_LONG)
E2E_LONG = $(shell grep -lE 'EVERY_CALL|CYCLES' $(E2E_TESTS))

# Those that a sanitizer can tell something about; the others take their time from waiting for WireGuard's timers.
E2E_SANITIZED := $(filter-out %/22-remote-worker.sh %/26-interop.sh %/29-transfer.sh %/48-as-wg-quick.sh %/61-kill-switch-cycles.sh,$(E2E_TESTS))
# And those that move packets or change what workers see: the others tell nothing of threads.
E2E_THREADED := $(filter tests/e2e/20-% tests/e2e/24-% tests/e2e/27-% tests/e2e/28-% tests/e2e/30-% tests/e2e/40-% tests/e2e/41-% tests/e2e/46-% tests/e2e/50-% tests/e2e/51-%,$(E2E_TESTS))

# With Debian's newest libsodium, beside the system's: it has AEGIS-256, which a stable one may not have. A machine whose
# mirrors do not give it goes on without, and says so at the end of the log. It has ML-KEM, too: what two Adits agree on is tried
# between two of these, and between one and the stable build both ways.
check-newest-libsodium: all $(E2E_TOOLS)
	@if dir=$$(BUILD=$(BUILD) scripts/newest libsodium); then \
	    echo "check: with libsodium $$(cat "$$dir/.version") in $$dir" && \
	    $(MAKE) SODIUM_DIR="$$dir" CFLAGS=-Werror all tests && \
	    $(MAKE) SODIUM_DIR="$$dir" check-sodium check-e2e E2E_TESTS='$(E2E_SODIUM) tests/e2e/52-post-quantum.sh' && \
	    ADITD=$(abspath $(BUILD)/sodium/aditd) ADITD_PEER=$(abspath $(BUILD)/aditd) ADIT=$(abspath $(BUILD)/adit) prove -j2 --timer $(E2E_PAIRS) && \
	    ADITD=$(abspath $(BUILD)/aditd) ADITD_PEER=$(abspath $(BUILD)/sodium/aditd) ADIT=$(abspath $(BUILD)/adit) prove --timer tests/e2e/52-post-quantum.sh; \
	else \
	    echo "check: SKIPPED: NOT TESTED WITH THE NEWEST LIBSODIUM: it could not be had, see above" >&2; \
	fi
# What calls it: the other rooms know keys at most.
check-sodium: all tests
	CMOCKA_MESSAGE_OUTPUT=TAP prove -j2 --exec '' $(foreach room,crypto proto data,$(filter $(BUILD)/tests/unit/$(room)/%,$(UNIT_TESTS))) $(SIM_TESTS)
E2E_SODIUM := tests/e2e/20-link.sh tests/e2e/23-mtu.sh tests/e2e/29-transfer.sh
E2E_PAIRS  := tests/e2e/50-upgrade.sh tests/e2e/52-post-quantum.sh

# The same with OpenSSL, which gives ML-KEM beside a stable libsodium. Only what calls it: it may need a libc of its own.
check-newest-openssl:
	@if dir=$$(BUILD=$(BUILD) scripts/newest openssl); then \
	    echo "check: with OpenSSL $$(cat "$$dir/.version") in $$dir" && \
	    $(MAKE) OPENSSL_DIR="$$dir" CFLAGS=-Werror tests-openssl && \
	    CMOCKA_MESSAGE_OUTPUT=TAP prove --exec "$$dir/run" $(OPENSSL_TESTS:%=$(BUILD)/openssl/%); \
	else \
	    echo "check: SKIPPED: NOT TESTED WITH THE NEWEST OPENSSL: it could not be had, see above" >&2; \
	fi
OPENSSL_TESTS := tests/unit/crypto/test_mlkem tests/unit/crypto/test_upgrade
tests-openssl: $(OPENSSL_TESTS:%=$(BUILD)/%)

# What has threads. A race ends the program at once.
THREADED := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/data/test_*.c) tests/unit/proto/test_grace.c tests/unit/proto/test_endpoint.c)
check-threads: tests
	CMOCKA_MESSAGE_OUTPUT=TAP TSAN_OPTIONS=halt_on_error=1 prove -j2 --exec '' $(THREADED)

check-unit: all tests
	CMOCKA_MESSAGE_OUTPUT=TAP prove -j2 --exec '' $(UNIT_TESTS) $(SIM_TESTS)
	BUILD=$(BUILD) prove tests/fuzz/corpus.sh tests/upgrade_vectors.sh tests/man.sh tests/completion.sh tests/install.sh tests/service.sh

check-e2e: all $(E2E_TOOLS)
	ADITD=$(abspath $(BUILD)/aditd) ADIT=$(abspath $(BUILD)/adit) $(if $(SANITIZE),ADIT_SANITIZE=1) prove -j3 --timer $(E2E_TESTS)

# The Debian package: built, looked at, installed, used, removed and purged. TWICE=1: built again, the same to the byte.
check-deb:
	scripts/deps check
	$(MAKE) deb
	BUILD=$(BUILD) prove --timer tests/deb.sh

# Fuzzes each target for FUZZ_SECONDS with libFuzzer; what it finds is left in build/fuzz.
FUZZ_SECONDS ?= 60
FUZZ_SOURCES := $(wildcard crypto/*.c daemon/conf/*.c daemon/proto/*.c kernel-iface/checksum.c kernel-iface/offload*.c)
fuzz:
	scripts/deps fuzz
	$(Q)mkdir -p $(BUILD)/fuzz
	$(Q)set -e; for fuzzer in $(FUZZERS); do \
	    clang -std=gnu17 -g -O1 -I. -D_GNU_SOURCE -DADIT_SANITIZE=1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	        $(PKG_CFLAGS) $(HAVE) -o $(BUILD)/fuzz/$$fuzzer tests/fuzz/fuzz_$$fuzzer.c $(FUZZ_SOURCES) $(LIBS); \
	    mkdir -p $(BUILD)/fuzz/corpus-$$fuzzer; \
	    $(BUILD)/fuzz/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/fuzz/ \
	        $(BUILD)/fuzz/corpus-$$fuzzer tests/fuzz/corpus/$$fuzzer; \
	done

# Installs what is missing, builds, and shows a link at work between two namespaces.
demo:
	scripts/deps demo
	$(MAKE) all
	ADITD=$(abspath $(BUILD)/aditd) ADIT=$(abspath $(BUILD)/adit) scripts/demo

# Beside raw veth, Debian's newest wireguard-go and OpenVPN, in one run; with 1 to 10,000 peers; BENCH=--quick for a few measures.
# A second build, with the newest libsodium, is measured for AEGIS-256.
bench bench-scale:
	scripts/deps bench
	$(MAKE) all $(BENCH_TOOLS)
	@if dir=$$(BUILD=$(BUILD) scripts/newest libsodium); then $(MAKE) SODIUM_DIR="$$dir" all; \
	    else echo "bench: without AEGIS-256: the newest libsodium could not be had, see above" >&2; fi
	BUILD=$(BUILD) scripts/$@ $(BENCH)

# The data plane's hot functions one by one: nanoseconds, and instructions as valgrind counts them. Needs no root when valgrind is there.
bench-micro:
	scripts/deps bench
	$(MAKE) $(BUILD)/tests/bench/micro
	BUILD=$(BUILD) scripts/bench-micro
