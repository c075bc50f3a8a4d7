# shellcheck shell=bash
# dist/: the page, the wasm module and the default model, as any static host serves them. Sourced by build.sh.

build_dist() {
    step 'wasm module (the first time compiles Burn: 10 minutes or more)' compile_wasm
    step 'wasm module: JavaScript binding and compression' bind_wasm
    step 'dist/' assemble_dist
}

assemble_dist() {
    local key files
    mapfile -t files < <(find www target/pkg -type f | sort)
    key=$(printf '%s\n' "${files[@]}" "$model_sha256" | cat - "${files[@]}" scripts/compress.mjs | key_of -)
    if done_with dist "$key" && [ -f dist/models/"${model##*/}" ]; then return; fi
    rm -rf dist
    cp -R --preserve=timestamps www dist
    rm -rf dist/pkg dist/types # types/ is for the checker alone
    cp -R --preserve=timestamps target/pkg dist/pkg
    mkdir dist/models
    ln "$model" dist/models/ 2>/dev/null || cp "$model" dist/models/
    node scripts/compress.mjs dist
    mark dist "$key"
}
