#!/usr/bin/env bash
# Runs the kernels' tests under the address sanitizer, which sees every read and write beyond a buffer. About a minute.
# The sanitizer is a feature of the compiler's nightly channel; RUSTC_BOOTSTRAP lets a stable compiler use it, on
# platforms whose toolchain ships its runtime (x86-64 and ARM Linux, macOS).
set -euo pipefail
cd "$(dirname "$0")"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
target="$(rustc -vV | sed -n 's/^host: //p')"
cargo test --tests --target "$target" --target-dir "${TMPDIR:-/tmp}/nightjar-sanitize"
