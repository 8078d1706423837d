# SPDX-License-Identifier: BSD-2-Clause
#
# The one entry point.  `make help` lists what there is.

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
LD := ld
NASM := nasm
OBJCOPY := objcopy
PYTHON := /usr/bin/python3
export SOURCE_DATE_EPOCH ?= 0

ifeq ($(V),1)
Q :=
quiet = @:
else
Q := @
quiet = @printf '  %-7s %s\n'
endif

# --- flags -------------------------------------------------------------------------------------

# Whether $(CC) is clang shows in its name: nothing may be run before the set-up installed it.
CLANG := $(findstring clang,$(CC))

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Werror

# DEBUG=1: checks that cost time on every exit and every change of a table.
DEBUG ?= 0
# PAGE_TRACK=0: without write tracking of guest frames (mm/page_track.h).
PAGE_TRACK ?= 1

# A frame pointer would cost a register and two instructions a function on every exit, and so
# would a stack aligned for vectors, which the core does not use.
FRAME_POINTER ?= -fomit-frame-pointer
STACK_ALIGNMENT := $(if $(CLANG),-mstack-alignment=8,-mpreferred-stack-boundary=3)

COMMON_CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) -I. -ffreestanding -fno-common \
	-fno-strict-aliasing -fno-asynchronous-unwind-tables -fno-unwind-tables -mno-red-zone \
	-fcf-protection=none -ffile-prefix-map=$(CURDIR)=. $(if $(filter 1,$(DEBUG)),-DCONFIG_FLUSH_MODEL=1) \
	$(if $(filter 0,$(PAGE_TRACK)),-DCONFIG_PAGE_TRACK=0)

CORE_CFLAGS := $(COMMON_CFLAGS) -mgeneral-regs-only -mcmodel=kernel -fno-pic -fno-pie \
	$(FRAME_POINTER) $(STACK_ALIGNMENT) -fstack-protector-strong -mstack-protector-guard=global

EFI_CFLAGS := $(COMMON_CFLAGS) -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-DGNU_EFI_USE_MS_ABI -fpic -fshort-wchar -fno-stack-protector -fvisibility=hidden \
	$(if $(CLANG),,-maccumulate-outgoing-args)

NASMFLAGS := -f elf64 -g -F dwarf -I ./ -I $(BUILD)/gen/ -Werror

CORE_LDFLAGS := -nostdlib -static -no-pie -z max-page-size=4096 -z noexecstack -z norelro \
	--build-id=none --orphan-handling=error --fatal-warnings

EFI_LIBDIR = $(firstword $(dir $(wildcard /usr/lib/crt0-efi-x86_64.o \
	/usr/lib/x86_64-linux-gnu/gnuefi/crt0-efi-x86_64.o)) /usr/lib/)
# A compiler may call memcmp whatever the source says, and gnu-efi has it under another name.
EFI_LDFLAGS = --defsym=memcmp=CompareMem -nostdlib -shared -Bsymbolic -z nocombreloc -z defs -z noexecstack \
	--build-id=none --no-warn-rwx-segments -T $(EFI_LIBDIR)elf_x86_64_efi.lds -L $(EFI_LIBDIR) \
	-L /usr/lib
EFI_SECTIONS := $(addprefix -j ,.text .sdata .data .rodata .dynamic .dynsym .rel .rela .rel.* \
	.rela.* .rel* .rela* .areloc .reloc)

# --- files -------------------------------------------------------------------------------------

CORE_DIRS := arch/x86 arch/vmx arch/svm core mm vmexit
CORE_C := $(filter-out core/offsets.c,$(wildcard $(CORE_DIRS:=/*.c)))
CORE_ASM := $(wildcard $(CORE_DIRS:=/*.asm))
BOOT_C := $(wildcard boot/*.c)
BOOT_ASM := $(wildcard boot/*.asm)
GUEST_C := $(wildcard tests/guests/*.c)
GUEST_LIB_C := $(wildcard tests/guests/lib/*.c)
GUEST_LIB_ASM := $(wildcard tests/guests/lib/*.asm)

object = $(patsubst %,$(BUILD)/obj/%.o,$(1))
CORE_OBJECTS := $(call object,$(CORE_C) $(CORE_ASM))
BOOT_OBJECTS := $(call object,$(BOOT_C) $(BOOT_ASM)) $(BUILD)/obj/embed.o
GUEST_LIB_OBJECTS := $(call object,$(GUEST_LIB_C) $(GUEST_LIB_ASM))
GUESTS := $(GUEST_C:tests/guests/%.c=$(BUILD)/guests/%.efi)

FLAGS := $(BUILD)/gen/flags
OFFSETS := $(BUILD)/gen/offsets.inc

.PHONY: all core guests
all: $(BUILD)/solovisor.efi
core: $(BUILD)/core.elf
guests: $(GUESTS)

# --- core --------------------------------------------------------------------------------------

$(BUILD)/obj/%.c.o: %.c $(FLAGS) | setup-build
	$(quiet) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(FILE_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(BUILD)/obj/%.asm.o: %.asm $(FLAGS) | setup-build $(OFFSETS)
	$(quiet) NASM $<
	@mkdir -p $(@D)
	$(Q)$(NASM) $(NASMFLAGS) -MD $(@:.o=.d) -MP -MQ $@ -o $@ $<

$(CORE_OBJECTS): FILE_CFLAGS = $(CORE_CFLAGS)
$(BOOT_OBJECTS) $(BUILD)/obj/tests/guests/%.o: FILE_CFLAGS = $(EFI_CFLAGS)

# core/offsets.c holds one asm statement a constant, "\n->NAME %0" : : "i"(offsetof(...)).
OFFSETS_SED := s/^[[:space:]]*\(\.ascii "\)*->\([A-Za-z0-9_]*\)[[:space:]]*[$$]*\(-*[0-9]*\).*/%define \2 \3/p
ifneq ($(wildcard core/offsets.c),)
$(OFFSETS): core/offsets.c $(FLAGS) | setup-build
	$(quiet) GEN $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CORE_CFLAGS) $(if $(CLANG),-fno-integrated-as) -S -MMD -MP -MF $@.d -MT $@ \
		-o $@.s $<
	$(Q)(echo '; generated from $<'; sed -n '$(OFFSETS_SED)' $@.s) >$@
else
$(OFFSETS):
	@mkdir -p $(@D)
	@echo '; there is no core/offsets.c' >$@
endif

$(BUILD)/core.elf: $(CORE_OBJECTS) linker.ld
	$(quiet) LD $@
	$(Q)$(LD) $(CORE_LDFLAGS) -T linker.ld -Map $(@:.elf=.map) -o $@ $(CORE_OBJECTS)

$(BUILD)/core.stripped.elf: $(BUILD)/core.elf
	$(quiet) STRIP $@
	$(Q)$(OBJCOPY) --strip-all --remove-section=.symtab --remove-section=.strtab $< $@

# --- the EFI program ---------------------------------------------------------------------------

$(BUILD)/gen/embed.asm: Makefile
	@mkdir -p $(@D)
	@printf '%s\n' '; generated: the core image inside the EFI program' \
		'global core_image_start:data hidden' 'global core_image_end:data hidden' \
		'section .rodata align=4096' 'core_image_start:' \
		'incbin "$(BUILD)/core.stripped.elf"' 'core_image_end:' >$@

$(BUILD)/obj/embed.o: $(BUILD)/gen/embed.asm $(BUILD)/core.stripped.elf | setup-build
	$(quiet) NASM $<
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -o $@ $<

# A relocation that gnu-efi's start-up code does not apply would be silently wrong.
define link_efi
	$(quiet) LD $@
	@mkdir -p $(@D)
	$(Q)$(LD) $(EFI_LDFLAGS) -Map $(@:.so=.map) -o $@ $(EFI_LIBDIR)crt0-efi-x86_64.o \
		$(filter %.o,$^) -lefi -lgnuefi
	$(Q)if readelf -rW $@ | grep -q 'R_X86_64_' && \
		readelf -rW $@ | grep 'R_X86_64_' | grep -v R_X86_64_RELATIVE; then \
		echo '$@: relocation that the EFI start-up code cannot apply' >&2; rm -f $@; exit 1; fi
endef

$(BUILD)/solovisor.so: $(BOOT_OBJECTS)
	$(link_efi)

$(BUILD)/obj/guests/%.so: $(BUILD)/obj/tests/guests/%.c.o $(GUEST_LIB_OBJECTS)
	$(link_efi)

# A probe of more than one file has a folder of its name with the others.
define probe_folder
$(BUILD)/obj/guests/$(1).so: $(call object,$(wildcard tests/guests/$(1)/*.c tests/guests/$(1)/*.asm))
endef
GUEST_PARTS := $(foreach guest,$(GUEST_C:tests/guests/%.c=%),$(wildcard tests/guests/$(guest)/*.c \
	tests/guests/$(guest)/*.asm))
$(foreach guest,$(GUEST_C:tests/guests/%.c=%),$(eval $(call probe_folder,$(guest))))

# The PE header gets the time of the build from objcopy, and a check sum over it: both cleared.
define make_efi
	$(quiet) EFI $@
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) $(EFI_SECTIONS) --strip-debug --target=efi-app-x86_64 $< $@
	$(Q)scripts/pe-clean $@
endef

$(BUILD)/solovisor.efi: $(BUILD)/solovisor.so scripts/pe-clean
	$(make_efi)

$(BUILD)/guests/%.efi: $(BUILD)/obj/guests/%.so scripts/pe-clean
	$(make_efi)

.SECONDARY:

# Rebuild everything when a flag or the compiler changed.
$(FLAGS): FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CORE_CFLAGS) $(EFI_CFLAGS) $(NASMFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(CORE_CFLAGS) $(EFI_CFLAGS) $(NASMFLAGS)' >$@

# --- set-up ------------------------------------------------------------------------------------

.PHONY: FORCE setup setup-build setup-image setup-test setup-emulators setup-guest
FORCE:
setup:
	@scripts/setup all
setup-build setup-image setup-test setup-emulators setup-guest:
	@scripts/setup $(@:setup-%=%)

# --- running -----------------------------------------------------------------------------------

#: Solovisor, a bare-metal hypervisor in one EFI file
#:
#:   make                    build/solovisor.efi (CC=clang works too, V=1 shows the commands)
#:   make DEBUG=1            with costly checks (best with BUILD=build/debug)
#:   make run                boot it in QEMU under OVMF, hosting a small Debian Linux (Ctrl-A X leaves)
#:        GUEST=path         another guest: kernel, EFI program, disk or ISO image
#:        CPUS=2 MEM=1024    size of the machine
#:        VENDOR=svm|vtx     AMD-V in QEMU or VT-x in Bochs
#:        LINE=port          the second serial line at this TCP port (docs/debugging.md)
#:        CONFIG='key=value' words for its solovisor.conf; also of `make usb`
#:   make test               all tests, reduced counts; the last line says how many passed and failed
#:        T=pattern          only those whose name contains it
#:   make test-full          every combination
#:   make soak               the long loads: Linux under stress for ten minutes and what follows
#:   make check              only the checks that need no machine
#:   make unit               only the unit tests on this host
#:   make usb                build/solovisor.img, to be copied to a stick with dd
#:   make iso                build/solovisor.iso, GRUB with Solovisor and Linux
#:   make install ESP=dir    copy Solovisor to a mounted EFI system partition
#:   make format             lay out all C sources as .clang-format says (F=files: only those)
#:   make transparency       what the guest sees bare against what it sees hosted, as a table
#:        T=pattern          only the probes and machines whose names contain it
#:   make bench              instruction counts of exits and of booting Linux
#:   make guests             the EFI programs of the tests
#:   make setup              install whatever is missing (the targets above do that, too)
#:   make clean, distclean   remove what was built; also the emulators and kernels

GUEST ?=
CPUS ?= 2
MEM ?= 1024
VENDOR ?= svm
# Words for solovisor.conf, and a TCP port at which COM2 listens: docs/debugging.md.
CONFIG ?=
LINE ?=
INITRAMFS := build/guest/initramfs.cpio
# More for the same guest, only where it is used: their size is paid for in every boot.
INITRAMFS_PARTS := build/guest/stress.cpio build/guest/kernel.cpio

.PHONY: run usb iso install initramfs test test-full soak check unit bench
$(INITRAMFS): scripts/mkinitramfs $(wildcard tests/guests/linux/*) | setup-image setup-guest
	$(quiet) CPIO $@
	@mkdir -p $(@D)
	$(Q)scripts/mkinitramfs $@

$(INITRAMFS_PARTS): build/guest/%.cpio: $(INITRAMFS)
	$(quiet) CPIO $@
	$(Q)scripts/mkinitramfs $@ --part $*

initramfs: $(INITRAMFS) $(INITRAMFS_PARTS)

run: all guests $(INITRAMFS) setup-image setup-emulators setup-guest
	$(Q)mkdir -p build/run
	$(Q)scripts/mkimage run build/run.img --vendor $(VENDOR) --guest '$(GUEST)' --config '$(CONFIG)'
	$(Q)scripts/run build/run.img --vendor $(VENDOR) --cpus $(CPUS) --mem $(MEM) --guest '$(GUEST)' \
		$(if $(LINE),--line $(LINE))

usb: all $(INITRAMFS) setup-image setup-guest
	$(Q)scripts/mkimage usb build/solovisor.img --config '$(CONFIG)'
	@echo 'build/solovisor.img: copy it with "dd if=build/solovisor.img of=/dev/sdX bs=4M"'

iso: all $(INITRAMFS) setup-image setup-guest
	$(Q)scripts/mkimage iso build/solovisor.iso

install: all setup-image
	$(if $(ESP),,$(error say where the EFI system partition is: make install ESP=dir))
	$(Q)scripts/mkimage install '$(ESP)'

# --- tests -------------------------------------------------------------------------------------

T ?=
test soak check unit: setup-test
test soak: setup-emulators setup-guest
test soak check unit:
	$(Q)scripts/test $(if $(filter test,$@),all,$@) $(if $(T),--only '$(T)')

test-full:
	$(Q)SV_FULL=1 $(MAKE) --no-print-directory test

F ?= $(shell git ls-files -co --exclude-standard '*.c' '*.h')
.PHONY: format
format: setup-test
	$(Q)clang-format -i $(F)

bench: all guests $(INITRAMFS) setup-test setup-emulators setup-guest
	$(Q)scripts/bench

.PHONY: transparency
transparency: all guests setup-test setup-emulators
	$(Q)scripts/transparency $(if $(T),--only '$(T)')

# --- the rest ----------------------------------------------------------------------------------

.PHONY: clean distclean help
clean:
	rm -rf $(BUILD)/obj $(BUILD)/gen $(BUILD)/guests $(BUILD)/unit $(BUILD)/logs $(BUILD)/check \
		$(BUILD)/run $(BUILD)/clang $(BUILD)/grub $(BUILD)/solovisor.* $(BUILD)/core.* \
		$(BUILD)/run.img

distclean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

-include $(wildcard $(addsuffix .d,$(basename $(CORE_OBJECTS) $(BOOT_OBJECTS) \
	$(GUEST_LIB_OBJECTS) $(call object,$(GUEST_C) $(GUEST_PARTS)))) $(OFFSETS).d)
