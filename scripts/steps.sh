# shellcheck shell=bash
# What every recipe uses: timed steps, stamps of what is done, and an end with a reason. Sourced by build.sh.

timings=() # a line for each step

step() { # TITLE COMMAND...
    local title=$1 start=$SECONDS
    printf '== %s\n' "$title"
    "${@:2}"
    timings+=("$(printf '%5d s  %s' $((SECONDS - start)) "$title")")
}

# A stamp says that a step was done with these inputs: `if done_with NAME KEY; then return; fi; ...; mark NAME KEY`
done_with() { [ "$(cat "target/stamps/$1" 2>/dev/null)" = "$2" ]; }
mark() { mkdir -p target/stamps; printf '%s\n' "$2" > "target/stamps/$1"; }
key_of() { cat "${BASH_SOURCE[1]}" "$@" | sha256sum; } # FILE...: their contents, and the script's that asks

die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
