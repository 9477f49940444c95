#!/bin/sh
# Records the testbed anew: normal operation, then the attacks. About 18 minutes; needs root.
# The folder for logs and unpacked captures can be given as the first argument.
set -eu
cd "$(dirname "$0")"
work=${1:-$(mktemp -d)}

for tool in ip ethtool tcpdump nmap ping dnsmasq chronyd zstd sysctl; do
    command -v "$tool" >/dev/null || { echo "record.sh: $tool is missing; see README.md" >&2; exit 1; }
done
[ "$(id -u)" -eq 0 ] || { echo "record.sh: namespaces need root: sudo testbed/record.sh" >&2; exit 1; }

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement requirements.txt
for recording in normal attack; do
    "$work/venv/bin/python" record.py "$recording" --work "$work/$recording"
done
echo "logs and unpacked captures: $work"
