#!/bin/sh
# Install the Debian packages that `make run` or `make test` needs and that are missing.
#
#   deploy/embedded/packages.sh run|test
#
# Says what is missing and why before it changes anything.  Without root it names the one command to run.
# Servers that come with a package are not started, and none that already runs is touched.
set -eu

# package | why Keepsite wants it
run_packages='
python3-venv|creates the virtual environment in .venv
python3-dev|Python headers, to compile mysqlclient (the MariaDB driver)
gcc|compiles mysqlclient
libc6-dev|C headers, to compile mysqlclient
pkg-config|tells the compiler where the MariaDB headers are
libmariadb-dev|MariaDB client library and headers, for mysqlclient
softhsm2|the software token (PKCS#11) that keeps the keys
curl|the example that `make run` prints
'
test_packages='
mariadb-server-core|MariaDB, for the tests: only the program, no system service
mariadb-client-core|helpers that MariaDB needs to create its first tables
galera-4|what joins several MariaDB into one database, for the tests
memcached|shared rate limits and the token cache of Keystone, for the tests
rabbitmq-server|RabbitMQ, for the tests
haproxy|the balancers of the two pools and of three RabbitMQ nodes, for the tests
iproute2|hosts whose cables the tests cut (network namespaces)
chromium|the browser that the console tests drive
'
policy=/usr/sbin/policy-rc.d # Debian asks it before a package script starts a service

main() {
    purpose=${1:-}
    case $purpose in
        run) table=$run_packages ;;
        test) table=$run_packages$test_packages ;;
        *)
            echo "usage: deploy/embedded/packages.sh run|test" >&2
            exit 2
            ;;
    esac
    missing=$(missing_packages)
    if [ -z "$missing" ]; then
        exit 0
    fi
    say_what_and_why
    if ! command -v apt-get >/dev/null; then
        echo "This is not Debian: please install the same things your system's way, then \`make $purpose\` again."
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say_who_can_install
        exit 1
    fi
    install_missing
}

rows() {
    # With an interpreter of your own, Debian's Python needs neither headers nor venv.
    printf '%s' "$table" | grep . | { [ -n "${PYTHON:-}" ] && grep -v '^python3-' || cat; }
}

missing_packages() {
    rows | while IFS='|' read -r package _; do
        # shellcheck disable=SC2016  # dpkg-query expands it
        status=$(dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null || true)
        [ "$status" = "install ok installed" ] || printf '%s ' "$package"
    done
}

say_what_and_why() {
    echo "Keepsite needs these Debian packages, which are not installed:"
    rows | while IFS='|' read -r package reason; do
        case " $missing" in
            *" $package "*) printf '  %-20s %s\n' "$package" "$reason" ;;
        esac
    done
}

say_who_can_install() {
    echo "Installing them needs root, and you are $(id -un). Run this one command, then \`make $purpose\` again:"
    echo
    if command -v sudo >/dev/null; then
        echo "  sudo $(pwd)/deploy/embedded/packages.sh $purpose"
    else
        echo "  su root -c '$(pwd)/deploy/embedded/packages.sh $purpose'"
    fi
}

install_missing() {
    log=$(mktemp)
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    hold_services_back
    export DEBIAN_FRONTEND=noninteractive
    echo "Fetching Debian's package lists ..."
    apt-get update -qq >"$log" 2>&1 || echo "That failed; trying with the lists that are here."
    echo "Installing (this may take some minutes) ..."
    # shellcheck disable=SC2086  # a list of names
    if ! apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
        echo "apt-get could not install them. The end of what it said:" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
    case " $missing" in
        *" rabbitmq-server "*) keep_off rabbitmq-server epmd.socket epmd.service ;;
    esac
    case " $missing" in
        *" memcached "*) keep_off memcached ;;
    esac
    echo "Installed."
}

hold_services_back() {
    made_policy=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n# Temporary, by Keepsite: start no service while its packages are installed.\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=yes
    fi
}

keep_off() {
    # We brought them in for the tests, which start their own: the machine need not run them after a reboot.
    if command -v systemctl >/dev/null; then
        systemctl disable -q "$@" >/dev/null 2>&1 || true
    fi
}

clean_up() {
    rm -f "$log"
    if [ "$made_policy" = yes ]; then
        rm -f "$policy"
    fi
}

cd "$(dirname "$0")/../.."
main "$@"
