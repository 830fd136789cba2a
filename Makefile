# The two commands of a newcomer are `make demo` and `make check`; meson and ninja do the work.
BUILD ?= build
PREFIX ?= /usr/local

all: build

build:
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)

demo: build
	@scripts/demo.sh $(BUILD)

check:
	@scripts/check.sh

bench:
	@BUILD=$(BUILD) scripts/bench.sh $(ARGS)

soak:
	@BUILD=$(BUILD) scripts/bench.sh check $(ARGS)
	@BUILD=$(BUILD) scripts/bench.sh servers
	@BUILD=$(BUILD) scripts/bench.sh attached

install: build
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

# Twice: what one pass wraps, the next may align.
format:
	@for pass in 1 2; do git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i; done

clean:
	rm -rf $(BUILD) build-clang build-asan

.PHONY: all build demo check bench soak install format clean
