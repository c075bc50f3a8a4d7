#!/usr/bin/env bash
# llama.cpp compiled here (from the sources in llama-cpp-python), then it and gran-ted on the CPU, two threads each.
# usage: native.sh MODEL.gguf, from the project's folder; two minutes to compile on two cores
set -euo pipefail
model=$1 work=.cache/peers threads=2
version=0.3.36
src=$work/native/llama_cpp_python-$version/vendor/llama.cpp

mkdir -p "$work/native"
[ -x "$work/venv/bin/ninja" ] || "$work/venv/bin/pip" install --quiet --require-hashes --requirement tests/peers/requirements-native.txt
PATH=$PWD/$work/venv/bin:$PATH
if [ ! -d "$src" ]; then
    pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$work/native" "llama-cpp-python==$version"
    tar xzf "$work/native/llama_cpp_python-$version.tar.gz" -C "$work/native"
fi
if [ ! -x "$work/native/llama" ]; then
    cmake -G Ninja -S "$src" -B "$work/native/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DBUILD_SHARED_LIBS=OFF > "$work/native/cmake.log"
    ninja -C "$work/native/build" llama > "$work/native/ninja.log"
    mapfile -t libs < <(find "$work/native/build" -name 'lib*.a')
    g++ -O2 -std=c++17 "-I$src/include" "-I$src/ggml/include" tests/peers/native.cpp -o "$work/native/llama" \
        -Wl,--start-group "${libs[@]}" -Wl,--end-group -lpthread -fopenmp -ldl
fi
printf '== llama.cpp\n'
node -e 'for (const texts of Object.values(JSON.parse(require("fs").readFileSync("tests/peers/workload.json", "utf8"))).slice(0, 2)) for (const { ids } of texts) console.log(ids.join(" "))' |
    "$work/native/llama" "$model" /dev/stdin "$threads" 5
printf '== gran-ted\n'
RAYON_NUM_THREADS=$threads cargo run --locked --release --quiet -- bench "$model" --device cpu --tokens 16,256
