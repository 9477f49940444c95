#!/bin/sh
# What a host does with a DHCP lease (called by udhcpc): it takes the address.
case "$1" in
bound | renew) ip address replace "$ip/${mask:-24}" broadcast + dev "$interface" ;;
esac
exit 0
