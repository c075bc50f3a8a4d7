#!/usr/bin/env bash
# Builds, serves and tests gran-ted, and installs what that takes: a table of commands over the recipes in scripts/.
# A second run redoes only what changed: cargo knows for its part, target/stamps/ for the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
unset CARGO_TARGET_DIR # the paths in scripts/ are the default ones
export NODEVICE_SELECT=1 # without a display, Mesa's device-select layer writes errors that are none

# shellcheck source=scripts/steps.sh
. scripts/steps.sh
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
# shellcheck source=scripts/wasm.sh
. scripts/wasm.sh
# shellcheck source=scripts/dist.sh
. scripts/dist.sh
# shellcheck source=scripts/test.sh
. scripts/test.sh
# shellcheck source=scripts/bench.sh
. scripts/bench.sh

usage='usage: ./build.sh COMMAND
  serve [PORT]  build, then serve the page on http://127.0.0.1:PORT/ (8080, or the next port that is free)
  build         make dist/: page, wasm module and model, for any static host
  test          every check and every test, native and in the browser
  fuzz [SECONDS] [TARGET]  damaged files into every reader (3600 for all; targets: tests/native/support/fuzz/mod.rs)
  parity        the TED-6K slice against the answers of PyTorch (long)
  bench         speed of the products, of the page and of the command line
  peers [...]   the page beside ONNX Runtime Web and wllama, in one session (10 minutes; arguments: tests/peers/run.mjs)
  peers-native  the same model natively, beside llama.cpp (compiles it)
  lengths       time a token by length of the text, as a chart: tests/peers/lengths.svg (10 minutes)
  qwen2         a qwen2 model with K-quants (491 MB, fetched for this alone) against numpy
  generate SIZE a random model of the sizes of Qwen3-VL 2b, 4b or 8b (1 to 5 GB), or small, in .cache/models
  setup         install what is missing, nothing else
WASM_TOOLCHAIN=rustup or =debian decides which compiler makes the wasm module.'

main() {
    case "${1:-}" in
        serve) build; exec node serve.mjs --root dist --port "${2:-8080}" ;;
        build) build ;;
        test) run_tests ;;
        fuzz) setup; fuzz "${@:2}" ;;
        parity) setup; parity ;;
        bench) build; setup_tests; bench ;;
        peers) build; setup_tests; setup_peers; node tests/peers/run.mjs "${@:2}" ;;
        peers-native) setup; setup_peers; tests/peers/native.sh "$model" ;;
        lengths) setup; setup_tests; measure_lengths ;;
        qwen2) setup; qwen2 ;;
        generate) setup; step "model of the sizes of Qwen3-VL ${2:-}" generate "${2:-}" ;;
        setup) setup; setup_wasm; setup_tests ;;
        *) printf '%s\n' "$usage" >&2; exit 2 ;;
    esac
}

build() {
    setup
    setup_wasm
    build_dist
    printf 'dist/ is complete: %s\n' "$(du -sh dist | cut -f1)"
}

main "$@"
