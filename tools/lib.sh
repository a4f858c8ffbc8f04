# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are read by those who source this
# Shared by the scripts beside it; sourced, not run.

# What building and running takes, by the package names of Debian 12.
build_packages=(
    build-essential cmake ninja-build pkg-config
    libglib2.0-dev libhiredis-dev libjansson-dev liblmdb-dev libmpack-dev libpng-dev libpq-dev libsodium-dev
    libsqlite3-dev libssl-dev libutf8proc-dev libuv1-dev libxxhash-dev libzstd-dev zlib1g-dev
)

# What testing takes beside that: the second compiler, its sanitizer and fuzzer libraries and linker, symbols in
# reports, the language of the checks, what checks the manual page and the completion script, and the servers that
# the benchmark measures beside Jini; see forbid_cluster(). The tools of Redis are its server under other names.
test_packages=(clang clang-format libclang-rt-dev lld llvm python3 git groff-base shellcheck postgresql-15 redis-tools)

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

# Before postgresql-15 is installed: Debian's package would make a cluster and start its server, now and with the
# machine. The benchmark runs one of its own, and nobody else asked for one. Takes what runs a command as root.
forbid_cluster() {
    local folder=/etc/postgresql-common/createcluster.d
    "$@" mkdir -p "$folder"
    printf 'create_main_cluster = false\n' | "$@" tee "$folder/jini.conf" >/dev/null
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
    if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
        forbid_cluster "${run[@]}"
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

# False where the engine refuses to keep a database, as core/store/directory.c has it.
can_hold_database() {
    case $(stat -f -c %T "$1") in
    overlayfs | nfs | smb | smb2 | cifs | fuseblk | ceph | v9fs | afs | k-afs | coda | ocfs2 | gfs/gfs2 | lustre | gpfs)
        return 1
        ;;
    esac
}

# A directory for tests, where a database can be. Containers have their /tmp on an overlay; the checkout is
# mostly mounted from a real disk.
choose_test_directory() {
    local directory
    for directory in "${TMPDIR:-/tmp}" "$PWD/build/tmp" /dev/shm; do
        mkdir -p "$directory"
        if can_hold_database "$directory"; then
            printf '%s\n' "$directory"
            return
        fi
    done
    printf '%s\n' "${TMPDIR:-/tmp}"
}

# The directory of the demo's data: ./data, or where no database can be there, another that has so many MiB free,
# which is told on standard error.
choose_data_directory() {
    local need_mib=$1 here=./data directory why
    [[ -d $here ]] || here=.
    if [[ ${JINI_STORE_ALLOW_UNSAFE_FILESYSTEM:-} == yes ]] || can_hold_database "$here"; then
        printf './data\n'
        return
    fi
    why="./data would lie on $(stat -f -c %T "$here"), where the engine keeps no database"
    for directory in "${TMPDIR:-/tmp}" /var/tmp /dev/shm; do
        if [[ -w $directory ]] && can_hold_database "$directory" &&
            (($(df --output=avail -B1M "$directory" | tail -1) >= need_mib)); then
            say "$why; the demo works in $directory/jini-data-$EUID ($(stat -f -c %T "$directory"))" >&2
            printf '%s/jini-data-%s\n' "$directory" "$EUID"
            return
        fi
    done
    fail "$why, and neither in ${TMPDIR:-/tmp} nor in /var/tmp or /dev/shm can one be that has $need_mib MiB free." \
        "Run it in a folder on a local disk, which in a container is a volume (docker run -v DIR:/disk -w /disk);" \
        "or, as long as one process at a time is enough, after \"export JINI_STORE_ALLOW_UNSAFE_FILESYSTEM=yes\""
}
