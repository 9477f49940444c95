#!/bin/sh
# Records the testbed anew, the three recordings side by side: about two hours and a quarter; needs root.
# The folder for logs and unpacked captures can be given as the first argument; `SMOKE=1` tries everything once.
set -eu
cd "$(dirname "$0")"
work=${1:-$(mktemp -d)}

for tool in ip ethtool tcpdump nmap ping arping dnsmasq busybox chronyd curl ssh ssh-keygen zstd sysctl; do
    command -v "$tool" >/dev/null || { echo "record.sh: $tool is missing; see README.md" >&2; exit 1; }
done
[ -x /usr/sbin/sshd ] || { echo "record.sh: sshd is missing; see README.md" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || { echo "record.sh: namespaces need root: sudo testbed/record.sh" >&2; exit 1; }

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement requirements.txt
out=captures
[ -z "${SMOKE:-}" ] || out=$work/captures
started=
for recording in normal quiet attack; do
    "$work/venv/bin/python" record.py "$recording" --work "$work/$recording" --out "$out" ${SMOKE:+--smoke} \
        >"$work/$recording.log" 2>&1 &
    started="$started $!"
done
trap 'kill $started' INT TERM
failed=0
for recording in $started; do
    wait "$recording" || failed=1
done
cat "$work"/*.log
echo "logs and unpacked captures: $work"
exit $failed
