# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are read by those who source this
# Shared by the scripts beside it; sourced, not run.

# What building and running takes, by the package names of Debian 12.
build_packages=(
    build-essential cmake ninja-build pkg-config
    libglib2.0-dev libjansson-dev liblmdb-dev libmpack-dev libpng-dev libsodium-dev libssl-dev
    libutf8proc-dev libuv1-dev libxxhash-dev libzstd-dev zlib1g-dev
)

# What testing takes beside that: the second compiler, its sanitizer and fuzzer libraries and linker, symbols in
# reports, the language of the checks, and what checks the manual page and the completion script.
test_packages=(clang clang-format libclang-rt-dev lld llvm python3 git groff-base shellcheck)

say() {
    printf '%s: %s\n' "${0##*/}" "$*"
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Those of the packages that are not installed, one a line.
missing_packages() {
    local installed
    installed=$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        sed -n 's/:[^ ]*//; s/ installed$//p') || true
    comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

# True when apt knows a version of every package: its lists have been fetched.
apt_knows() {
    local package
    for package in "$@"; do
        [[ $(apt-cache policy "$package") =~ Candidate:\ [^\(] ]] || return 1
    done
}

# Installs what is missing of the packages, as root or by sudo. Says nothing when nothing is missing.
install_packages() {
    local -a missing run=()
    if ! command -v dpkg-query >/dev/null; then
        say "this is no Debian; what is needed there is: $*"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} == 0)); then
        return
    fi
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            fail "packages are missing, and only root can install them. As root: apt-get install ${missing[*]}"
        fi
        run=(sudo)
    fi
    run+=(env DEBIAN_FRONTEND=noninteractive)
    say "installing ${missing[*]}"
    if ! apt_knows "${missing[@]}"; then
        "${run[@]}" apt-get update -q
    fi
    if ! "${run[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"; then
        # The lists may be of a day whose files are gone from the mirror.
        "${run[@]}" apt-get update -q
        "${run[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
    fi
}

# Runs a command with its output in a file, which is shown when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        fail "failed: $*"
    fi
}

# Configures a preset of the checkout in the current directory, with what the scripts build, whatever was left
# out there by hand; cmake gets what stands behind its name.
configure() {
    quietly "build/$1-configure.log" cmake -DJINI_BUILD_TESTS=ON --preset "$@"
}

# A directory for tests: not on an overlay, which the engine refuses to keep a database on. Containers have
# their /tmp on one; the checkout is mostly mounted from a real disk.
choose_test_directory() {
    local directory
    for directory in "${TMPDIR:-/tmp}" "$PWD/build/tmp" /dev/shm; do
        mkdir -p "$directory"
        if [[ $(stat -f -c %T "$directory") != overlayfs ]]; then
            printf '%s\n' "$directory"
            return
        fi
    done
    printf '%s\n' "${TMPDIR:-/tmp}"
}
