# Test programs link only the rooms that they test and those below (DESIGN: a breach of the layering is a link error).

ROOMS_crypto       := $(AR_crypto)
ROOMS_conf         := $(AR_conf) $(AR_crypto)
ROOMS_proto        := $(AR_proto) $(AR_crypto)
ROOMS_kernel-iface := $(AR_kernel)
ROOMS_data         := $(AR_data) $(AR_proto) $(AR_kernel) $(AR_crypto)
ROOMS_sim          := $(AR_proto) $(AR_crypto)

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*/test_*.c))
SIM_TESTS  := $(patsubst tests/sim/%.c,$(BUILD)/tests/sim/%,$(wildcard tests/sim/test_*.c))
SIM_COMMON := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(wildcard tests/sim/test_*.c),$(wildcard tests/sim/*.c)))

define unit_rule
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(ROOMS_$(1))
	$(Q)mkdir -p $$(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDHARDEN) -o $$@ $$^ -lcmocka $(LIBS)
endef
$(foreach room,crypto conf proto kernel-iface data,$(eval $(call unit_rule,$(room))))

$(BUILD)/tests/sim/%: $(BUILD)/obj/tests/sim/%.o $(SIM_COMMON) $(ROOMS_sim)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka $(LIBS)

.PHONY: tests
tests: $(UNIT_TESTS) $(SIM_TESTS)
