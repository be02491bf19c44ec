#!/usr/bin/env bash
# Records the captures of this folder again: two network namespaces joined by a
# veth pair, ordinary servers in one of them, ordinary clients in the other, and
# tcpdump on the clients' end. Nothing leaves the namespaces.
#
#   sudo [KEEP_LOGS=FOLDER] integration/testdata/record.sh [OUTPUT FOLDER [NAME…]]
#
# The output folder defaults to this one; the names (dns http tls ntp snmp syslog
# mdns llmnr) default to all. Addresses, names and hardware addresses are the ones
# set aside for documentation (RFC 5737, RFC 3849, RFC 6761, RFC 7042).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:-$here}" && pwd)
shift $(($# > 0 ? 1 : 0))
wanted=("$@")
((${#wanted[@]})) || wanted=(dns http tls ntp snmp syslog mdns llmnr)
((EUID == 0)) || { echo "record.sh: network namespaces need root" >&2; exit 1; }

work=$(mktemp -d)
client=fs-client-$$ server=fs-server-$$
client4=192.0.2.10 client6=2001:db8::10
server4=192.0.2.20 server6=2001:db8::20
silent4=192.0.2.99 silent6=2001:db8::99 # reach the server's card, belong to nobody
pids=()

cleanup() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$server" 2>/dev/null || true
  [[ -z ${KEEP_LOGS:-} ]] || cp "$work"/*.{txt,log} "$KEEP_LOGS"/ 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- programs ---------------------------------------------------------------

# need installs a package unless its command is there. RUNLEVEL=1 keeps Debian's
# scripts from starting a daemon on the host.
need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "$2" </dev/null >&2
}

# unpack fetches packages and unpacks them into the work folder without
# installing: these would change the host's own name resolution.
unpack() {
  (cd "$work" && mkdir -p debs root && cd debs && apt-get -qq download "$@" </dev/null >&2 &&
    for deb in ./*.deb; do dpkg -x "$deb" ../root; done)
}
lib=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
libraries=$work/root$lib:$work/root/lib/${lib##*/}:$work/root$lib/systemd:$work/root/lib/systemd

need ip iproute2; need tcpdump tcpdump; need dig dnsutils; need nginx nginx-light
need curl curl; need openssl openssl; need chronyd chrony; need snmpd snmpd
need snmpget snmp; need rsyslogd rsyslog; need editcap wireshark-common
need python3 python3; need ethtool ethtool

# ---- network ----------------------------------------------------------------

ip netns add "$client"
ip netns add "$server"
in_client() { ip netns exec "$client" "$@"; }
in_server() { ip netns exec "$server" "$@"; }

ip -n "$client" link add c0 address 00:00:5e:00:53:10 type veth \
  peer name s0 address 00:00:5e:00:53:20 netns "$server"
for side in "$client c0 $client4 $client6" "$server s0 $server4 $server6"; do
  read -r ns card v4 v6 <<<"$side"
  ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.all.accept_dad=0 "net.ipv6.conf.$card.accept_dad=0" \
    "net.ipv6.conf.$card.router_solicitations=0"
  ip -n "$ns" addr add "$v4/24" brd + dev "$card"
  ip -n "$ns" addr add "$v6/64" dev "$card" nodad
  ip -n "$ns" link set lo up
  ip -n "$ns" link set "$card" up
  # Without offloads the capture holds real checksums and frames as on a wire.
  ip netns exec "$ns" ethtool -K "$card" tx off rx off tso off gso off gro off >/dev/null
done
for silent in "$silent4" "$silent6"; do
  ip -n "$client" neigh add "$silent" lladdr 00:00:5e:00:53:20 dev c0 nud permanent
done

# ---- running things ---------------------------------------------------------

# until_true waits up to ten seconds for a command to succeed.
until_true() {
  local n
  for ((n = 0; n < 200; n++)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  echo "record.sh: gave up waiting for: $*" >&2
  return 1
}

serve() { # LOG COMMAND… in the server's namespace; sets $served
  local log=$1
  shift
  ip netns exec "$server" "$@" >"$log" 2>&1 </dev/null & # no function: $! shall be the program itself
  served=$!
  pids+=("$served")
}
stop() { kill "$@" 2>/dev/null || true; wait "$@" 2>/dev/null || true; }

# listening waits until the server's namespace has a socket there.
listening() { # udp|tcp PORT
  until_true bash -c "ip netns exec $server ss -Hln --$1 | grep -qE '[:.]$2 '"
}

capture() { # NAME [FILTER] starts tcpdump
  local name=$1
  shift
  ip netns exec "$client" tcpdump -Z root -i c0 -n -s 0 -U --immediate-mode ${precision:-} \
    -w "$work/$name.pcap" "$@" 2>"$work/tcpdump.log" </dev/null &
  tcpdump=$!
  pids+=("$tcpdump")
  until_true grep -q 'listening on' "$work/tcpdump.log"
}
captured() { # NAME ends tcpdump and delivers the file
  sleep 0.3 # what is still on its way
  kill -INT "$tcpdump"
  wait "$tcpdump" || true
  cp "$work/$1.pcap" "$out/$1.pcap"
  capinfos -c -s "$out/$1.pcap" | tail -n +2
}

# ---- DNS --------------------------------------------------------------------

zone_files() {
  cat >"$work/example.test" <<'ZONE'
$TTL 3600
@ SOA ns1 hostmaster.example.test. 2026010101 7200 900 1209600 300
@ NS ns1
@ NS ns2
@ MX 10 mail
@ MX 20 backup.mail
@ A 192.0.2.20
@ AAAA 2001:db8::20
@ TXT "v=spf1 ip4:192.0.2.0/24 -all"
@ CAA 0 issue "ca.example.test"
@ CAA 128 iodef "mailto:security@example.test"
@ HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.20 ipv6hint=2001:db8::20
ns1 A 192.0.2.20
ns1 AAAA 2001:db8::20
ns2 A 192.0.2.21
mail A 192.0.2.25
backup.mail A 192.0.2.26
www 60 CNAME web
web 60 CNAME front
front 60 A 192.0.2.80
front 60 A 192.0.2.81
front 60 AAAA 2001:db8::80
Printer A 192.0.2.90
_sip._udp SRV 10 60 5060 sip
_sip._udp SRV 20 0 5060 sip2
sip A 192.0.2.50
sip2 A 192.0.2.51
_dns SVCB 1 ns1 alpn=dot port=853 mandatory=alpn
_25._tcp.mail TLSA 3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
naptr NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@example.test!" .
ssh SSHFP 4 2 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
hinfo HINFO "amd64" "Linux"
rp RP admin.example.test. txt.example.test.
uri URI 10 1 "https://example.test/path"
afsdb AFSDB 1 afs.example.test.
unknown TYPE65280 \# 4 0a000001
txt TXT "one" "two words" "quote \" backslash \\ byte \200 end"
long TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
dname DNAME target.example.test.
x.target A 192.0.2.70
*.wild A 192.0.2.60
dot\.in\.label A 192.0.2.61
space\032here A 192.0.2.62
byte\255 A 192.0.2.63
aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123 A 192.0.2.64
sub NS ns.sub
ns.sub A 192.0.2.30
$GENERATE 1-60 big TXT "record $ of a set that fits no small datagram"
$GENERATE 1-20 pool A 192.0.2.$
ZONE
  cat >"$work/reverse" <<'ZONE'
$TTL 3600
@ SOA ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 300
@ NS ns1.example.test.
20 PTR ns1.example.test.
80 PTR front.example.test.
$ORIGIN 0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.
ZONE
  sed '/ORIGIN/d; s/^20 /0.2.0.0.0.0.0.0 /; s/^80 /0.8.0.0.0.0.0.0 /' "$work/reverse" >"$work/reverse6"
  sed -i '/ORIGIN/d' "$work/reverse"
  cat >"$work/dynamic" <<'ZONE'
$TTL 60
@ SOA ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 300
@ NS ns1.example.test.
ZONE
  cat >"$work/named.conf" <<CONF
options {
  directory "$work"; pid-file "$work/named.pid"; session-keyfile "$work/session.key";
  lock-file none; managed-keys-directory "$work";
  listen-on port 53 { $server4; }; listen-on-v6 port 53 { $server6; };
  recursion no; empty-zones-enable no; allow-transfer { any; }; notify no;
  server-id "sensor-demo"; version "demo"; minimal-responses no;
};
controls { };
dnssec-policy demo { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };
zone "example.test" { type primary; file "$work/example.test"; check-names ignore; };
zone "signed.test" { type primary; file "$work/signed.test"; dnssec-policy demo; inline-signing yes; };
zone "dynamic.test" { type primary; file "$work/dynamic"; allow-update { $client4; }; };
zone "2.0.192.in-addr.arpa" { type primary; file "$work/reverse"; };
zone "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" { type primary; file "$work/reverse6"; };
zone "broken.test" { type primary; file "$work/no such file"; };
CONF
  cat >"$work/signed.test" <<'ZONE'
$TTL 300
@ SOA ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 300
@ NS ns1.example.test.
@ A 192.0.2.40
www A 192.0.2.41
ZONE
  printf 'nameserver %s\noptions timeout:1 attempts:3\n' "$server4" >"$work/resolv.conf"
}

# ask runs dig and keeps what it says, the query included, for the facts.
ask() {
  in_client dig +qr +tries=1 +timeout=2 "$@" >>"$work/dig.txt" 2>&1 </dev/null || true
}

record_dns() {
  local name kind named
  if ! command -v named >/dev/null; then unpack bind9; fi
  named=$(command -v named || echo "$work/root/usr/sbin/named")
  zone_files
  serve "$work/named.log" env LD_LIBRARY_PATH="$libraries" "$named" -g -u root -n 1 -c "$work/named.conf"
  local pid=$served
  listening udp 53
  until_true in_server dig +tries=1 +timeout=1 @$server4 signed.test DNSKEY +dnssec +noall +answer
  until_true bash -c "ip netns exec $server dig @$server4 www.signed.test A +dnssec +short | grep -q 'A 13'"
  : >"$work/dig.txt"
  capture dns

  for name in "example.test A" "example.test AAAA" "example.test MX" "example.test TXT" \
    "example.test SOA" "example.test NS" "example.test CAA" "example.test HTTPS" "example.test ANY" \
    "www.example.test A" "www.example.test AAAA" "pRiNtEr.ExAmPlE.TeSt A" "_sip._udp.example.test SRV" \
    "_dns.example.test SVCB" "_25._tcp.mail.example.test TLSA" "naptr.example.test NAPTR" \
    "ssh.example.test SSHFP" "loc.example.test LOC" "hinfo.example.test HINFO" "rp.example.test RP" \
    "uri.example.test URI" "afsdb.example.test AFSDB" "unknown.example.test TYPE65280" \
    "txt.example.test TXT" "long.example.test TXT" "a.dname.example.test A" "x.dname.example.test A" \
    "anything.wild.example.test A" 'dot\.in\.label.example.test A' 'space\032here.example.test A' \
    'byte\255.example.test A' "pool.example.test A" "host.sub.example.test A" \
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123.example.test A" \
    "20.2.0.192.in-addr.arpa PTR" "missing.example.test A" "missing.example.test AAAA" \
    "front.example.test MX" "elsewhere.invalid A" "broken.test A"; do
    read -r name kind <<<"$name"
    ask @$server4 "$name" "$kind"
  done
  for name in "example.test AAAA" "front.example.test A" "missing.example.test A" "ns1.example.test AAAA" \
    "0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR"; do
    read -r name kind <<<"$name"
    ask @$server6 "$name" "$kind"
  done
  # DNSSEC, and a proof that there is nothing (RFC 4035 section 3.1.3).
  for kind in A NS SOA DNSKEY CDS NSEC; do ask @$server4 +dnssec signed.test "$kind"; done
  ask @$server4 +dnssec www.signed.test A
  ask @$server4 +dnssec nothing.signed.test A
  ask @$server4 +dnssec +cdflag www.signed.test A
  # EDNS (RFC 6891) and its options.
  ask @$server4 +noedns example.test A
  ask @$server4 +nocookie +bufsize=4096 example.test A
  ask @$server4 +cookie=0123456789abcdef example.test A
  ask @$server4 +nsid example.test A
  ask @$server4 +subnet=198.51.100.0/24 example.test A
  ask @$server4 +padding=128 example.test A
  ask @$server4 +ednsopt=65001:cafe example.test A
  ask @$server4 +edns=1 +noednsnegotiation example.test A
  ask @$server4 +expire example.test SOA
  # Too big for a datagram: the truncated answer alone, then with its second try over TCP.
  ask @$server4 +noedns +ignore big.example.test TXT
  ask @$server4 +bufsize=512 big.example.test TXT
  ask @$server6 +tcp +keepalive example.test A
  ask @$server4 +tcp big.example.test TXT
  ask @$server4 +tcp +noqr signed.test AXFR
  # Other classes, opcodes and flags.
  ask @$server4 version.bind CH TXT
  ask @$server4 +opcode=STATUS example.test A
  ask @$server4 +norecurse +adflag +aaflag +zflag example.test A
  ask @$server4 +header-only example.test
  # One socket, one packet each way per question, many questions.
  ask @$server4 +tcp +keepopen example.test A www.example.test A mail.example.test A missing.example.test A
  # Nobody answers.
  ask @$silent4 +timeout=1 nobody.example.test A
  ask @$silent6 +timeout=1 nobody.example.test AAAA
  ask @$silent4 +timeout=1 +tries=2 nobody-again.example.test TXT
  # The system's own resolver asks for both address families from one socket …
  resolver getent ahosts www.example.test
  resolver getent ahosts missing.example.test
  # … and repeats its question while the server does not get round to answering.
  kill -STOP "$pid"
  resolver getent ahostsv4 pool.example.test &
  local waiting=$!
  sleep 1.5
  kill -CONT "$pid"
  wait "$waiting"
  # Dynamic update (RFC 2136).
  printf 'server %s\nzone dynamic.test\nupdate add new.dynamic.test 60 A 192.0.2.45\nsend\n' "$server4" |
    in_client nsupdate
  ask @$server4 new.dynamic.test A

  captured dns
  stop "$pid"
  python3 "$here/dig-facts.py" <"$work/dig.txt" >"$out/dns.facts.jsonl"
}

# resolver runs a program whose system resolver is the server.
resolver() {
  in_client bash -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$work/resolv.conf" "$@" \
    >>"$work/getent.txt" 2>&1 </dev/null || echo "status $? of $*" >>"$work/getent.txt"
}

# ---- HTTP -------------------------------------------------------------------

record_http() {
  mkdir -p "$work/www/deep" "$work/nginx"
  for n in {1..80}; do echo "<p>Paragraph $n of a page that compresses well.</p>"; done >"$work/www/page.html"
  echo '<h1>It works</h1>' >"$work/www/index.html"
  head -c 6000 /dev/zero | tr '\0' 'x' >"$work/www/blob.bin"
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; user root; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.err;
events { worker_connections 64; }
http {
  log_format facts escape=json '{"connection":\$connection,"depth":\$connection_requests,"client":"\$remote_addr","client_port":\$remote_port,'
    '"server_port":\$server_port,"method":"\$request_method","target":"\$request_uri","version":"\$server_protocol","host":"\$http_host",'
    '"user_agent":"\$http_user_agent","referer":"\$http_referer","request_content_type":"\$content_type","request_body":"\$content_length",'
    '"status":\$status,"body_size":\$body_bytes_sent,"content_type":"\$sent_http_content_type","location":"\$sent_http_location",'
    '"transfer_encoding":"\$sent_http_transfer_encoding"}';
  access_log $work/access.log facts;
  types { text/html html; application/octet-stream bin; }
  client_body_temp_path $work/nginx/body; proxy_temp_path $work/nginx/proxy; fastcgi_temp_path $work/nginx/f;
  uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
  gzip on; gzip_min_length 100; keepalive_timeout 5;
  server {
    listen $server4:80; listen [$server6]:80; listen $server4:8080;
    root $work/www;
    location /old { return 301 /page.html; }
    location /form { proxy_pass http://127.0.0.1:81; }
    location /private { auth_basic "Staff"; auth_basic_user_file $work/htpasswd; }
    location /teapot { return 418 "short and stout\n"; }
    location /cookie { add_header Set-Cookie "session=abc123; HttpOnly"; return 204; }
  }
  server { listen 127.0.0.1:81; access_log off; location / { return 201 "stored\n"; } }
}
CONF
  printf 'alice:%s\n' "$(openssl passwd -apr1 wonderland)" >"$work/htpasswd"
  serve "$work/nginx.log" nginx -c "$work/nginx.conf"
  local pid=$served base=http://$server4 get=(in_client curl -sS --max-time 5 -o /dev/null)
  listening tcp 8080
  precision=--time-stamp-precision=nano capture http
  "${get[@]}" -H 'Host: www.example.test' $base/
  # Several requests on one connection.
  "${get[@]}" -H 'Host: www.example.test' $base/ -o /dev/null $base/page.html -o /dev/null $base/missing -o /dev/null $base/blob.bin
  "${get[@]}" --compressed -H 'Host: www.example.test' -e http://www.example.test/ $base/page.html
  "${get[@]}" -I -H 'Host: www.example.test' $base/blob.bin
  "${get[@]}" -r 100-199 $base/blob.bin
  "${get[@]}" -z "$(date -d tomorrow -R)" $base/blob.bin
  "${get[@]}" -L $base/old
  "${get[@]}" -0 $base/
  "${get[@]}" -d 'name=value&other=%20two' $base/form
  "${get[@]}" -H 'Content-Type: application/json' --data '{"hello":"world"}' "$base/form?q=1#part"
  printf 'a body of unknown length' | "${get[@]}" -T - $base/form/upload
  "${get[@]}" -F "file=@$work/www/page.html" -H 'Expect: 100-continue' $base/form
  "${get[@]}" -X DELETE $base/form/7
  "${get[@]}" -X OPTIONS $base/
  "${get[@]}" -u alice:wonderland $base/private/
  "${get[@]}" $base/private/
  "${get[@]}" $base/cookie -b 'session=abc123; theme=dark'
  "${get[@]}" $base/teapot
  "${get[@]}" -A 'demo/1.0 (a sensor; test)' http://$server4:8080/page.html
  "${get[@]}" -g -H 'Host: v6.example.test' "http://[$server6]/deep/../index.html" --path-as-is
  captured http
  stop "$pid"
  cp "$work/access.log" "$out/http.facts.jsonl"
}

# ---- TLS --------------------------------------------------------------------

certificate() { # NAME KEY-OPTIONS…
  local name=$1
  shift
  openssl req -x509 -nodes -days 365 -subj "/O=Example/CN=$name.example.test" \
    -addext "subjectAltName=DNS:$name.example.test,DNS:www.example.test,IP:$server4" \
    -keyout "$work/$name.key" -out "$work/$name.crt" "$@" 2>/dev/null
}

record_tls() {
  certificate rsa -newkey rsa:2048
  certificate ecdsa -newkey ec -pkeyopt ec_paramgen_curve:P-256
  certificate ed25519 -newkey ed25519
  local running=() port=443 spec
  # Port, certificate, options: 1.3 and 1.2; 1.3 only, with a group clients do not begin with; 1.2 only.
  for spec in "443 rsa -alpn h2,http/1.1" "8443 ecdsa -tls1_3 -groups P-384" "4433 ed25519 -tls1_2 -no_ticket" "993 rsa -Verify 1"; do
    read -r port name options <<<"$spec"
    serve "$work/tls.$port.log" openssl s_server -accept "$port" -cert "$work/$name.crt" -key "$work/$name.key" \
      -CAfile "$work/rsa.crt" -quiet -rev $options
    running+=("$served")
    listening tcp "$port"
  done
  capture tls
  dial 443 -servername www.example.test -alpn h2,http/1.1 -tls1_3
  dial 443 -servername www.example.test -alpn http/1.1 -tls1_2 -sess_out "$work/session12"
  dial 443 -servername www.example.test -tls1_2 -sess_in "$work/session12"
  dial 443 -servername rsa.example.test -tls1_3 -sess_out "$work/session13"
  dial 443 -servername rsa.example.test -tls1_3 -sess_in "$work/session13"
  dial 443 -noservername -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
  dial 8443 -servername retry.example.test -groups X25519:P-384
  dial 8443 -servername old.example.test -tls1_2
  dial 4433 -servername ed25519.example.test
  dial 4433 -servername ed25519.example.test -cipher AES128-SHA -tls1_2
  dial 443 -servername strict.example.test -verify_return_error
  dial 993 -servername mutual.example.test -cert "$work/rsa.crt" -key "$work/rsa.key" -tls1_2
  dial 993 -servername mutual.example.test
  connect="[$server6]" dial 443 -servername v6.example.test
  in_client curl -sSk --max-time 2 --resolve "www.example.test:443:$server4" https://www.example.test/ >/dev/null 2>&1 || true
  captured tls
  stop "${running[@]}"
}

# dial says a line through openssl, and ends when it has come back.
dial() {
  local port=$1
  shift
  { echo 'hello over there'; sleep 0.2; } |
    in_client timeout 5 openssl s_client -connect "${connect:-$server4}:$port" -brief "$@" >>"$work/dial.txt" 2>&1 || true
}

# ---- NTP --------------------------------------------------------------------

record_ntp() {
  cat >"$work/chrony.conf" <<CONF
local stratum 5
allow
broadcast 10 192.0.2.255
peer $client4 minpoll 0 maxpoll 1
cmdport 0
bindcmdaddress /
pidfile $work/chronyd.pid
CONF
  serve "$work/chronyd.log" chronyd -d -x -u root -f "$work/chrony.conf"
  local pid=$served n
  listening udp 123
  capture ntp
  for n in "$server4 iburst" "$server6 iburst" "$server4 iburst version 3" "$silent4 iburst"; do
    in_client timeout 12 chronyd -d -Q -t 4 -u root "server $n" "pidfile $work/client.pid" "cmdport 0" "bindcmdaddress /" >>"$work/ntp.txt" 2>&1 || true
  done
  captured ntp
  stop "$pid"
  editcap -F pcapng "$out/ntp.pcap" "$out/ntp.pcapng"
  rm "$out/ntp.pcap"
}

# ---- SNMP -------------------------------------------------------------------

record_snmp() {
  cat >"$work/snmpd.conf" <<CONF
agentAddress udp:$server4:161,udp6:[$server6]:161
rocommunity public
rocommunity6 public
rwcommunity private
sysContact admin@example.test
sysName agent.example.test
sysDescr Demonstration agent
createUser plain
createUser signer SHA "signer secret"
createUser sealer SHA "sealer secret" AES "sealer private"
rouser plain noauth
rouser signer auth
rouser sealer priv
CONF
  local run=(env SNMP_PERSISTENT_DIR="$work/snmp" SNMPCONFPATH="$work")
  mkdir -p "$work/snmp"
  serve "$work/snmpd.log" "${run[@]}" snmpd -f -Lo -C -c "$work/snmpd.conf" -p "$work/snmpd.pid"
  local pid=$served quick=(-t 2 -r 0 -m '' -On) system=.1.3.6.1.2.1.1
  listening udp 161
  capture snmp
  snmp() { in_client "${run[@]}" "$@" >>"$work/snmp.txt" 2>&1 </dev/null || true; }
  snmp snmpget "${quick[@]}" -v1 -c public $server4 $system.5.0 $system.4.0
  snmp snmpget "${quick[@]}" -v1 -c public $server4 $system.99.0
  snmp snmpgetnext "${quick[@]}" -v1 -c public $server4 $system
  snmp snmpget "${quick[@]}" -v2c -c public $server4 $system.1.0 $system.2.0 $system.3.0
  snmp snmpget "${quick[@]}" -v2c -c public $server4 $system.99.0
  snmp snmpwalk "${quick[@]}" -v2c -c public $server4 $system
  snmp snmpbulkget "${quick[@]}" -v2c -c public -Cn1 -Cr5 $server4 $system.3 .1.3.6.1.2.1.2.2.1
  snmp snmpbulkwalk "${quick[@]}" -v2c -c public $server4 .1.3.6.1.2.1.31.1.1
  snmp snmpset "${quick[@]}" -v2c -c private $server4 $system.6.0 s 'Room 7'
  snmp snmpset "${quick[@]}" -v2c -c public $server4 $system.6.0 s 'Room 8'
  snmp snmpget "${quick[@]}" -v2c -c public "udp6:[$server6]" $system.5.0
  snmp snmpget "${quick[@]}" -v2c -c wrong -t 1 $server4 $system.5.0
  snmp snmpget "${quick[@]}" -v3 -l noAuthNoPriv -u plain $server4 $system.5.0
  snmp snmpget "${quick[@]}" -v3 -l authNoPriv -u signer -a SHA -A 'signer secret' $server4 $system.5.0
  snmp snmpget "${quick[@]}" -v3 -l authPriv -u sealer -a SHA -A 'sealer secret' -x AES -X 'sealer private' $server4 $system.5.0
  snmp snmpget "${quick[@]}" -v3 -l authNoPriv -u signer -a SHA -A 'not the secret' $server4 $system.5.0
  snmp snmpget "${quick[@]}" -v3 -l noAuthNoPriv -u nobody $server4 $system.5.0
  snmp snmptrap "${quick[@]}" -v1 -c public $silent4 .1.3.6.1.4.1.32473.1 $client4 6 42 '' .1.3.6.1.4.1.32473.1.1 s 'demo'
  snmp snmptrap "${quick[@]}" -v2c -c public $silent4 '' .1.3.6.1.6.3.1.1.5.3 .1.3.6.1.2.1.2.2.1.1.2 i 2
  snmp snmpinform "${quick[@]}" -v2c -c public $silent4 '' .1.3.6.1.6.3.1.1.5.4 .1.3.6.1.2.1.2.2.1.1.2 i 2
  captured snmp
  stop "$pid"
}

# ---- syslog -----------------------------------------------------------------

record_syslog() {
  cat >"$work/rsyslog.conf" <<CONF
global(workDirectory="$work")
module(load="imudp") module(load="imtcp")
input(type="imudp" address="$server4" port="514") input(type="imudp" address="$server6" port="514")
input(type="imtcp" port="601")
template(name="facts" type="list" option.jsonf="on") {
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="hostname" name="hostname" format="jsonf")
  property(outname="app_name" name="app-name" format="jsonf")
  property(outname="proc_id" name="procid" format="jsonf")
  property(outname="msg_id" name="msgid" format="jsonf")
  property(outname="structured_data" name="structured-data" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
  property(outname="timestamp" name="timereported" format="jsonf" dateFormat="rfc3339")
  property(outname="input" name="inputname" format="jsonf")
}
action(type="omfile" file="$work/syslog.facts" template="facts")
CONF
  serve "$work/rsyslog.log" rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid"
  local pid=$served udp=(-n $server4 -P 514 -d) tcp=(-n $server4 -P 601 -T)
  listening udp 514
  listening tcp 601
  capture syslog
  # logger calls itself by the host's name: give it one.
  local as_client=(in_client unshare --uts bash -c 'hostname client && exec "$@"' --)
  say() { "${as_client[@]}" logger "$@" </dev/null; }
  say "${udp[@]}" --rfc5424 -p auth.notice -t sshd --id=4711 'Accepted publickey for alice'
  say "${udp[@]}" --rfc5424 -p local4.debug -t app --msgid ID47 --sd-id 'demo@32473' --sd-param 'key="value"' --sd-param 'other="a \] b"' 'with structured data'
  say "${udp[@]}" --rfc3164 -p kern.emerg -t kernel 'Out of coffee'
  say "${udp[@]}" --rfc3164 -p mail.info -t postfix --id=99 'grüße aus Köln'
  say "${udp[@]}" --rfc5424=notime,nohost -p cron.warning -t cron 'no time, no host'
  say -n $server6 -P 514 -d --rfc5424 -p daemon.err -t v6 'over IPv6'
  say "${tcp[@]}" --rfc5424 -p user.crit -t stream 'ended by a line feed'
  say "${tcp[@]}" --rfc3164 -p user.alert -t stream 'ended by a line feed, old format'
  say "${tcp[@]}" --octet-count --rfc5424 -p local0.info -t counted 'with its length in front'
  printf 'first of three\nsecond of three\nthird of three\n' | "${as_client[@]}" logger "${tcp[@]}" --octet-count --rfc5424 -p local1.info -t several
  printf 'line one\nline two\nline three\n' | "${as_client[@]}" logger "${tcp[@]}" --rfc3164 -p local2.info -t lines
  until_true grep -q 'line three' "$work/syslog.facts"
  captured syslog
  stop "$pid"
  grep -v '"input":"rsyslogd"' "$work/syslog.facts" | grep -v '"app_name":"rsyslogd"' >"$out/syslog.facts.jsonl"
  gzip -9nf "$out/syslog.pcap"
}

# ---- mDNS and LLMNR -----------------------------------------------------------

# accounts makes password and group files that know one more, powerless user.
accounts() { # USER
  { cat /etc/passwd; echo "$1:x:64999:64999::/nonexistent:/usr/sbin/nologin"; } >"$work/passwd"
  { cat /etc/group; echo "$1:x:64999:"; } >"$work/group"
  chmod 711 "$work"
}

# masked runs a program that sees folders of the work folder in the place of the
# host's own (ip netns exec gives each call a mount namespace). It replaces the
# shell it is called in, so call it in the background.
masked() { # NAMESPACE PLACE=FOLDER… -- COMMAND…
  local ns=$1 script=''
  shift
  while [[ $1 != -- ]]; do
    script+="{ [ -e '${1%%=*}' ] || mkdir -p '${1%%=*}'; } && mount --bind '${1#*=}' '${1%%=*}' && "
    shift
  done
  shift
  LD_LIBRARY_PATH=$libraries exec ip netns exec "$ns" bash -c "$script exec \"\$@\"" -- "$@"
}

record_mdns() {
  local host ns running=()
  unpack avahi-daemon libavahi-core7 libdaemon0 libavahi-common3
  accounts avahi
  capture mdns udp port 5353
  for host in client server; do
    ns=${!host}
    mkdir -p "$work/avahi-$host/services" "$work/avahi-$host/run"
    printf '[server]\nhost-name=%s\nenable-dbus=no\ndisallow-other-stacks=no\n[publish]\npublish-hinfo=yes\npublish-workstation=yes\n' "$host" >"$work/avahi-$host/avahi-daemon.conf"
    cat >"$work/avahi-$host/services/http.service" <<'XML'
<?xml version="1.0" standalone='no'?>
<service-group><name replace-wildcards="yes">Demo on %h</name>
<service><type>_http._tcp</type><port>80</port><txt-record>path=/demo</txt-record></service></service-group>
XML
    masked "$ns" "/etc/passwd=$work/passwd" "/etc/group=$work/group" "/etc/avahi=$work/avahi-$host" "/run/avahi-daemon=$work/avahi-$host/run" -- \
      "$work/root/usr/sbin/avahi-daemon" --no-drop-root --no-chroot --no-rlimits >"$work/avahi-$host.log" 2>&1 </dev/null &
    running+=($!)
    pids+=($!)
  done
  until_true grep -q 'Service.*successfully established' "$work/avahi-server.log"
  until_true grep -q 'Service.*successfully established' "$work/avahi-client.log"
  # A one-shot question from a port of its own (RFC 6762 section 6.7).
  for question in "server.local A" "server.local AAAA" "_http._tcp.local PTR" "_services._dns-sd._udp.local PTR" \
    "Demo\\032on\\032server._http._tcp.local SRV" "20.2.0.192.in-addr.arpa PTR"; do
    read -r name kind <<<"$question"
    in_client dig +tries=1 +timeout=1 +noedns -p 5353 @$server4 "$name" "$kind" >>"$work/mdns.txt" 2>&1 || true
    in_client dig +tries=1 +timeout=1 +noedns -p 5353 @224.0.0.251 "$name" "$kind" >>"$work/mdns.txt" 2>&1 || true
  done
  stop "${running[@]}" # they say goodbye
  captured mdns
}

record_llmnr() {
  local host ns running=()
  unpack systemd-resolved systemd libsystemd-shared
  accounts systemd-resolve
  capture llmnr udp port 5355 or tcp port 5355
  for host in client server; do
    ns=${!host}
    mkdir -p "$work/resolved-$host" "$work/resolved-$host-run"
    printf '[Resolve]\nLLMNR=yes\nMulticastDNS=no\nDNSSEC=no\nFallbackDNS=\n' >"$work/resolved-$host/resolved.conf"
    SYSTEMD_LOG_LEVEL=debug masked "$ns" "/etc/passwd=$work/passwd" "/etc/group=$work/group" "/etc/systemd=$work/resolved-$host" "/run/systemd=$work/resolved-$host-run" -- \
      unshare -u bash -c 'hostname "$0" && exec "$@"' "fs$host" "$work/root/lib/systemd/systemd-resolved" >"$work/resolved-$host.log" 2>&1 </dev/null &
    running+=($!)
    pids+=($!)
  done
  until_true bash -c "ip netns exec $client ss -Hlun | grep -q 127.0.0.53"
  listening udp 5355
  for question in "fsserver A" "fsserver AAAA" "nobodyhome A"; do
    read -r name kind <<<"$question"
    in_client dig +tries=1 +timeout=5 @127.0.0.53 "$name" "$kind" >>"$work/llmnr.txt" 2>&1 || true
  done
  stop "${running[@]}"
  captured llmnr
}

for name in "${wanted[@]}"; do
  echo "== $name"
  "record_$name"
done