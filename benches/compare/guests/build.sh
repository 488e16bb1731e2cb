#!/usr/bin/env bash
# Builds the plugins for Extism and waPC. It needs the Rust target wasm32-unknown-unknown.
set -euo pipefail
cd "$(dirname "$0")"
RUSTUP_TOOLCHAIN=stable cargo build --release --target wasm32-unknown-unknown
cp target/wasm32-unknown-unknown/release/{extism,wapc}_customize.wasm .
