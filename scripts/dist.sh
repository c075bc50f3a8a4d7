# shellcheck shell=bash
# dist/: the page, the wasm module and the default model, as any static host serves them. Sourced by build.sh.

build_dist() {
    step 'wasm module (the first time compiles Burn: 10 minutes or more)' compile_wasm
    step 'wasm module: JavaScript binding and compression' bind_wasm
    step 'licenses of what dist/ carries' write_licenses
    step 'dist/' assemble_dist
}

# From the packages that cargo and npm brought: nothing is fetched.
write_licenses() {
    local key
    key=$(key_of Cargo.lock package-lock.json LICENSE scripts/licenses.mjs)
    if done_with licenses "$key" && [ -f target/licenses.txt ]; then return; fi
    node scripts/licenses.mjs target/licenses.txt
    mark licenses "$key"
}

assemble_dist() {
    local key files
    mapfile -t files < <(find www target/pkg target/licenses.txt -type f | sort)
    key=$(printf '%s\n' "${files[@]}" "$model_sha256" | cat - "${files[@]}" scripts/compress.mjs | key_of -)
    if done_with dist "$key" && [ -f dist/models/"${model##*/}" ]; then return; fi
    rm -rf dist
    cp -R --preserve=timestamps www dist
    rm -rf dist/pkg
    find dist -name '*.d.ts' -delete # declarations are for the checker alone
    find dist -type d -empty -delete
    cp -R --preserve=timestamps target/pkg dist/pkg
    cp --preserve=timestamps target/licenses.txt dist/
    mkdir dist/models
    ln "$model" dist/models/ 2>/dev/null || cp "$model" dist/models/
    node scripts/compress.mjs dist
    mark dist "$key"
}
