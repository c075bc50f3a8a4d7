# shellcheck shell=bash
# The wasm module: its compiler, its JavaScript binding, target/pkg. Sourced by build.sh.

wasm_target=wasm32-unknown-unknown
wasm_file=target/$wasm_target/release/gran_ted.wasm

setup_wasm() {
    pick_wasm_toolchain
    step 'wasm-bindgen' install_wasm_bindgen
}

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
    local -a install=(env CARGO_PROFILE_DEV_DEBUG=0 cargo install wasm-bindgen-cli --version "$version"
        --bin wasm-bindgen --no-default-features --debug --force --root target/tools)
    # Its own lock file may name a version that the registry does not have: then the newest ones that fit are taken.
    "${install[@]}" --locked || "${install[@]}"
}

compile_wasm() {
    "${wasm_cargo[@]}" rustc --locked --release --lib --crate-type cdylib "${wasm_flags[@]}"
}

# No wasm-opt: -Os takes 3 minutes, and the module travels in brotli, where it is 5 % larger for it.
bind_wasm() {
    local key
    key=$(key_of "$wasm_file" Cargo.lock scripts/compress.mjs)
    if done_with pkg "$key" && [ -d target/pkg ]; then return; fi
    rm -rf target/pkg
    target/tools/bin/wasm-bindgen --target web --remove-name-section --no-typescript --out-dir target/pkg "$wasm_file"
    node scripts/compress.mjs target/pkg
    mark pkg "$key"
}
