# shellcheck shell=bash
# Measurements: our own figures, and other engines on the same work. Sourced by build.sh.

peers=.cache/peers

# The products run on every Vulkan driver at hand: Mesa's or a GPU's, and the SwiftShader that comes with Chromium.
bench() {
    local swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
    step 'products' cargo bench --locked --bench products
    if [ -f "$swiftshader" ]; then
        step 'products on SwiftShader' env "VK_DRIVER_FILES=$swiftshader" cargo bench --locked --bench products -- quant_matmul_is_six
    fi
    step 'page' node tests/support/measure.mjs
    step 'command line' cargo run --locked --release --quiet -- evaluate "$model" www/data/ted-sample.json --device cpu --no-cache
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
    cargo run --locked --release --quiet -- bench "$model" --device "$1" --tokens 64,128,256,512,1024,2048 --seconds 300 --json \
        > "$peers/lengths-$1.json"
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
    "$peers/venv/bin/pip" install --quiet --require-hashes --requirement tests/peers/requirements.txt
    "$peers/venv/bin/python" tests/peers/make_onnx.py "$model" "$peers/smol.q4.onnx"
    for page in ort.html wllama.html; do ln -sf "../../tests/peers/$page" "$peers/$page"; done
    ln -sfn ../models "$peers/models"
    mark peers "$key"
}
