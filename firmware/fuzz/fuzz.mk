# The fuzz targets: `make -C firmware -f fuzz/fuzz.mk fuzz` builds build/firmware/fuzz/fuzz_NAME for every fuzz/fuzz_NAME.c.
#
#   build/firmware/fuzz/fuzz_NAME --facts=FILE -max_total_time=60 CORPUS
#
# clang with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer; the core is instrumented, too.

include Makefile

.PHONY: fuzz

FUZZ := $(BUILD)/fuzz
SANITIZED := -O1 -DFW_WITH_P256 -Iport/host -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer
TARGETS := $(patsubst fuzz/%.c,$(FUZZ)/%,$(wildcard fuzz/fuzz_*.c))

fuzz: $(TARGETS)

$(eval $(call variant,fuzz,clang,$(subst $(comma),$$(comma),$(SANITIZED)),$(MONOCYPHER)))

$(TARGETS): $(FUZZ)/%: $(FUZZ)/fuzz/%.o $(FUZZ)/fuzz/board.o $(FUZZ)/fuzz/signed.o $(fuzz_OBJECTS)
	@clang -g -fsanitize=fuzzer,address,undefined $(addprefix -Wl$(comma)--wrap=,$(WRAPPED) fw_signed_by fw_sign) $^ -o $@
	@echo "firmware: build/firmware/fuzz/$(@F)"

-include $(TARGETS:$(FUZZ)/%=$(FUZZ)/fuzz/%.d)
