#!/usr/bin/env bash
# Builds the guests into prebuilt/.
#
#   guests/build.sh           builds them anew
#   guests/build.sh --check   builds them elsewhere, and fails with the names of those that differ from prebuilt/
#
# The bytes depend on the sources and on the compilers' versions alone; prebuilt/tools.txt holds the versions. Where a
# tool is missing, its guests are left out, unless CI=true: then that is a failure.
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
        cargo build --quiet --locked --release --target "$triple" --target-dir "$target" --package "$name" \
            --config "target.$triple.rustflags = [$remap]"
        cp "$target/$triple/release/$name.wasm" "$out/$prefix$name.wasm"
    done
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
    local source name
    for source in c/*.c; do
        clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -Werror -ffreestanding -mbulk-memory -nostdlib \
            -Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=16384 \
            -o "$out/c_$(basename "$source" .c).wasm" "$source"
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
        clang --target=wasm32-wasi -std=c11 -D_GNU_SOURCE -Os -Wall -Wextra -Werror -mbulk-memory -Wl,--strip-all \
            -o "$out/wasi_c_$(basename "$source" .c).wasm" "$source"
    done
    echo "wasi-libc $(sha256sum "$libc" | cut -c -16)" >>"$out/tools.txt"
}

build_wat() {
    cargo build --quiet --locked --release --target-dir "$target" --package wat2wasm
    local source
    for source in wat/*.wat; do
        "$target/release/wat2wasm" "$source" "$out/wat_$(basename "$source" .wat).wasm"
    done
}

rustc --version >>"$out/tools.txt"
build_rust rust wasm32-unknown-unknown ""
build_rust small wasm32-unknown-unknown "" --page-size=1 -zstack-size=512
build_rust wasi-rust wasm32-wasip1 wasi_rust_
build_c
build_wat

if $check; then
    # The names that are in only one of the two folders, or differ; without those that were left out here.
    different=()
    for name in $(cd "$out" && ls -- *.wasm); do
        cmp --silent "$out/$name" "prebuilt/$name" || different+=("$name")
    done
    if ! $skipped; then
        for name in $(cd prebuilt && ls -- *.wasm); do
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
    echo "All $(ls "$out"/*.wasm | wc -l) guests that were built are the same as in prebuilt/."
    exit
fi

mkdir -p prebuilt
if ! $skipped; then
    rm -f prebuilt/*.wasm
    install -m 644 "$out/tools.txt" prebuilt/
fi
install -m 644 "$out"/*.wasm prebuilt/
(cd prebuilt && wc -c -- *.wasm)
