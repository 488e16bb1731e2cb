#!/usr/bin/env bash
# Builds the components in Go, JavaScript and Python, which are megabytes each, into ../target/components/, and puts those of
# ../prebuilt/components/ beside them. ../build.sh builds the latter.
#
#   guests/components/build.sh            builds them
#   guests/components/build.sh --check    then runs all components in wasmtime, and fails if one differs from expected.json
#
# It takes Rust, npm, Node.js 20, Python 3.10 with venv, and a network: it installs the tools below ../target/, in the
# versions of Cargo.lock, javascript/package-lock.json and python/requirements.txt.
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

target=$(realpath -m "${CARGO_TARGET_DIR:-$(dirname "$0")/../target}")
cd "$(dirname "$0")"
out="$target/components"
export LC_ALL=C.UTF-8

# need TOOL HOW: fails without TOOL, and tells HOW to get it.
need() {
    command -v "$1" >/dev/null || {
        echo "The components need $1, which is missing. To get it: $2" >&2
        exit 1
    }
}
need cargo "https://rustup.rs"
need npm "apt-get install npm, or https://nodejs.org"
need python3 "apt-get install python3 python3-venv"

npm="$target/components-npm"
mkdir -p "$out" "$npm"
cp javascript/package.json javascript/package-lock.json "$npm/"
# Without the scripts of the packages: what they would fetch is not needed here.
(cd "$npm" && npm ci --silent --ignore-scripts --no-audit --no-fund)
venv="$target/components-venv"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r python/requirements.txt

# quietly COMMAND...: prints what the command prints only if it fails.
quietly() {
    "$@" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        exit 1
    }
}

rm -f "$out"/*.wasm
quickjs=("$npm/node_modules/.bin/componentize-qjs" --wit wit --world plugin --js javascript/plugin.js --sync --opt-size)
quietly "${quickjs[@]}" -o "$out/javascript_quickjs.wasm"
quietly "${quickjs[@]}" --stub-wasi -o "$out/javascript_quickjs_stub.wasm"
quietly "$npm/node_modules/.bin/componentize-js" javascript/plugin.js --wit wit --world-name plugin \
    --disable stdio random clocks http fetch-event -o "$out/javascript_spidermonkey.wasm"

cargo build --quiet --locked --target-dir "$target" --manifest-path tool/Cargo.toml
tool="$target/debug/tool"
# crate NAME: the folder of a crate's sources.
crate() {
    cargo metadata --quiet --locked --format-version 1 --manifest-path tool/Cargo.toml | "$venv/bin/python" -c '
import json, pathlib, sys
packages = json.load(sys.stdin)["packages"]
manifest = next(package["manifest_path"] for package in packages if package["name"] == sys.argv[1])
print(pathlib.Path(manifest).parent)' "$1"
}
# The crate of the bindings contains the module that they need, and which is not to be had from PyPI.
package=$(crate wit-bindgen-go)/src/pkg
# The sources of a package of the bindings' lie in their folders.
go="$target/components-go"
rm -rf "$go"
mkdir -p "$go/exports/export_wit_world"
"$tool" go wit plugin hostel/plugin "$go"
cp go/go.mod go/main.go "$go/"
cp go/world.go "$go/exports/export_wit_world/"
cp go/text.go "$go/exports/export_hostel_example_text/"
(
    cd "$go"
    export GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off GOWORK=off GOFLAGS=-mod=mod GOEXPERIMENT= GOOS=wasip1 GOARCH=wasm
    "$venv/bin/go" mod edit -replace "go.bytecodealliance.org/pkg=$package"
    # The bindings' module uses the allocator of Go's runtime, which the linker allows only so.
    quietly "$venv/bin/go" build -trimpath -buildvcs=false "-ldflags=-s -w -buildid= -checklinkname=0" \
        -buildmode=c-shared -o module.wasm .
)
"$tool" embed wit plugin "$go/module.wasm" "$go/plugin.wasm"
"$tool" new "$go/plugin.wasm" "$out/go.wasm"

# From a copy, since Python puts compiled files beside its sources.
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
cp python/*.py tour/tour.py "$sources/"
# The WIT of WASI's HTTP, as a crate has it.
cp -r tour/wit "$sources/"
mkdir "$sources/wit/deps"
cp "$(crate wasip2)"/wit/deps/*.wit "$sources/wit/deps/"
# python WIT WORLD MODULE OUT [--stub-wasi]
python() {
    quietly "$venv/bin/componentize-py" -d "$1" -w "$2" componentize -p "$sources" "$3" -o "$out/$4.wasm" "${@:5}"
}
python wit plugin plugin python
python wit plugin plugin python_stub --stub-wasi
python wit program report python_report
python "$sources/wit" tour-with-http tour python_tour
quietly "$npm/node_modules/.bin/componentize-js" tour/tour.js --wit "$sources/wit" --world-name tour \
    --disable random fetch-event -o "$out/javascript_tour.wasm"

rm "$out/log"
install -m 644 ../prebuilt/components/*.wasm "$out/"
(cd "$out" && wc -c -- *.wasm)
if $check; then
    "$venv/bin/python" -B oracle/oracle.py check "$out"
fi
