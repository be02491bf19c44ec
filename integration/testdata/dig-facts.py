"""Turns what dig printed (+qr, several runs) into one JSON object per message.

Reads standard input, writes standard output. Only dig's own words go in: the
header line, the flags, the sections as it shows them, and whether it got no
answer. Nothing here looks at a packet.
"""

import json
import re
import sys

HEADER = re.compile(r";; ->>HEADER<<- opcode: (\S+), status: (\S+), id: (\d+)")
FLAGS = re.compile(r";; flags:([^;]*);")
SECTION = re.compile(r";; (QUESTION|ZONE|ANSWER|AUTHORITY|ADDITIONAL) SECTION:")
SERVER = re.compile(r";; SERVER: ([^#]+)#(\d+)\(.*\) \((\w+)\)")
NAMES = {"QUESTION": "questions", "ANSWER": "answers", "AUTHORITY": "authorities", "ADDITIONAL": "additionals"}


def record(line):
    """One record line: name, TTL, class, type, data in presentation format."""
    name, ttl, rclass, rtype, *data = line.split(None, 4)
    return {"name": name, "ttl": int(ttl), "class": rclass, "type": rtype, "data": data[0] if data else ""}


def main():
    messages, section, query = [], None, None
    for line in sys.stdin:
        line = line.rstrip("\n")
        if found := HEADER.match(line):
            opcode, status, number = found.groups()
            messages.append({"opcode": opcode, "status": status, "id": int(number)})
            section = None
        elif line.startswith("; <<>> DiG"):
            section = None
        elif not messages:
            continue
        elif found := FLAGS.match(line):
            flags = found.group(1).split()
            messages[-1]["message"] = "response" if "qr" in flags else "query"
            messages[-1]["flags"] = [f for f in flags if f != "qr"]
        elif found := SECTION.match(line):
            section = NAMES.get(found.group(1))
        elif found := SERVER.match(line):
            messages[-1]["server"], messages[-1]["port"] = found.group(1), int(found.group(2))
            messages[-1]["transport"] = found.group(3).lower()
        elif "no servers could be reached" in line or "communications error" in line:
            messages[-1]["unanswered"] = True
        elif not line:
            section = None
        elif section == "questions" and line.startswith(";"):
            name, rclass, rtype = line[1:].split()
            messages[-1].setdefault("questions", []).append({"name": name, "class": rclass, "type": rtype})
        elif section and not line.startswith(";"):
            messages[-1].setdefault(section, []).append(record(line))
    for message in messages:
        print(json.dumps(message, ensure_ascii=True))


main()
