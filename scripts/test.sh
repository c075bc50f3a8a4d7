# shellcheck shell=bash
# Every check and every test, and the random models that some of them read. Sourced by build.sh.

run_tests() {
    mkdir -p target
    : > target/test.log
    setup
    setup_wasm
    setup_tests
    step 'format' cargo fmt --check
    step 'page: format, lint and types' npm run check
    step 'page: tests' logged npm test
    step 'clippy' cargo clippy --locked --release --all-targets -- -D warnings
    step 'clippy for wasm' "${wasm_cargo[@]}" clippy --locked --release --lib "${wasm_flags[@]}" -- -D warnings
    step 'Rust tests (the first time compiles Burn: 10 minutes or more)' logged cargo test --locked --release
    step 'Rust documentation' env 'RUSTDOCFLAGS=-D warnings' cargo doc --locked --no-deps --release --lib
    build_dist
    step 'random model' random_model
    step 'browser tests' logged npm run test:browser
    printf '%s\n' "${timings[@]}"
    sum_tests
}

logged() { "$@" 2>&1 | tee -a target/test.log; }

# Adds up the summary lines of cargo and of node's test runner.
sum_tests() {
    awk '/^test result:/ { pass += $4; fail += $6; skip += $8 }
         /^(#|ℹ) pass /    { pass += $3 }
         /^(#|ℹ) fail /    { fail += $3 }
         /^(#|ℹ) skipped / { skip += $3 }
         END { printf "%d passed, %d failed, %d skipped\n", pass, fail, skip }' target/test.log
}

# --- tests that `run_tests` leaves out: they are ignored, each with its reason ---

ignored() { cargo test --locked --release --test native -- --ignored --nocapture "$@"; } # FILTER...: beginnings of their names

parity() { step 'TED-6K slice against PyTorch' ignored parity:: statistics:: ted::; }

# Inputs that break a rule are written to target/fuzz. FUZZ_SEED=N repeats a run.
fuzz() { # [SECONDS] [TARGET]
    FUZZ_SECONDS=${1:-3600} FUZZ_TARGET=${2:-} step 'fuzzing' \
        cargo test --locked --release --test fuzz -- --ignored --nocapture for_an_hour
}

qwen2() {
    step 'model qwen2-0.5b-instruct' fetch_qwen2
    step 'qwen2 against numpy' ignored qwen2::
}

# --- random models ---

generate() { cargo run --locked --release --example generate_model -- "$1" .cache/models; } # small, 2b, 4b or 8b

# For the browser tests; another recipe makes another file.
random_model() {
    local key recipe
    mapfile -t recipe < <(find examples/generate_model -name '*.rs' | sort)
    key=$(key_of "${recipe[@]}")
    if done_with random-model "$key" && [ -f .cache/models/generated-small.gguf ]; then return; fi
    generate small
    mark random-model "$key"
}
