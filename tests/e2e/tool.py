"""What the scripts here need and no common program does alike everywhere. Python's standard library only.

    tool.py uapi NAME              operations from stdin, each up to an empty line, over one connection; prints the answers
    tool.py touch NAME             connects and closes without a word
    tool.py receive ADDRESS PORT   one TCP stream: prints its length and SHA-256; progress on stderr
    tool.py send ADDRESS PORT BYTES [BYTES-PER-SECOND [FILE]]   random bytes, fewer once FILE is there; prints the same
    tool.py nameserver ADDRESS ZONE   answers DNS queries from the file ZONE ("ADDRESS NAME" a line, read anew for each
                                   query); one for a name that is not in it is swallowed without an answer
    tool.py scan PID               stdin: needles, one in hex a line; which lie in the memory of the process
    tool.py faults FILE            the table that faults.so left: "NAME COUNT" a line
    tool.py meddle PORT TO-PORT COUNT   passes COUNT datagrams on, loses 4, changes 5, delays 3 and doubles 2 of each 100
    tool.py notify ADDRESS [SECONDS]   a service manager's end of sd_notify: prints "PID LINE|LINE..." of each message, and "expired" when
                                   READY=1 or the last WATCHDOG=1 is SECONDS old. ADDRESS: a path, or @NAME
    tool.py chatter ADDRESS...     DNS queries, other datagrams and TCP connections to each, every 2 ms, whatever becomes of them
    tool.py relay                  see Relay
"""
import hashlib
import os
import random
import select
import socket
import struct
import sys
import time


def uapi_connect(name):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(f"/var/run/wireguard/{name}.sock")
    return sock


def uapi(name):
    with uapi_connect(name) as sock:
        for operation in sys.stdin.read().rstrip("\n").split("\n\n"):
            sock.sendall(operation.encode() + b"\n\n")
            answer = b""
            while not answer.endswith(b"\n\n"):
                piece = sock.recv(65536)
                if not piece:
                    sys.exit(f"closed by the daemon after {answer!r}")
                answer += piece
            sys.stdout.write(answer.decode())


def touch(name):
    uapi_connect(name).close()


def open_tcp(address, port):
    return socket.AF_INET6 if ":" in address else socket.AF_INET, (address, int(port))


def receive(address, port):
    family, where = open_tcp(address, port)
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(1)
        print("listening", file=sys.stderr, flush=True)
        stream, _ = listener.accept()
    digest, total, told = hashlib.sha256(), 0, 0
    stream.settimeout(60)
    while piece := stream.recv(1 << 20):
        digest.update(piece)
        total += len(piece)
        if total - told >= 1 << 20:
            told = total
            print(f"MiB {total >> 20}", file=sys.stderr, flush=True)
    print(total, digest.hexdigest())


def send(address, port, size, rate="0", enough=""):
    family, where = open_tcp(address, port)
    size, rate, digest, sent, start = int(size), int(rate), hashlib.sha256(), 0, time.monotonic()
    with socket.socket(family) as stream:
        stream.settimeout(60)
        stream.connect(where)
        while sent < size and not os.path.exists(enough):
            piece = os.urandom(min(1 << 16 if rate else 1 << 20, size - sent))
            digest.update(piece)
            stream.sendall(piece)
            sent += len(piece)
            if rate:
                time.sleep(max(0, start + sent / rate - time.monotonic()))
    print(sent, digest.hexdigest())


def nameserver(address, zone):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 53))
        print("listening", file=sys.stderr, flush=True)
        while True:
            query, asker = sock.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, kind, question = ".".join(labels), query[at + 1 : at + 3], query[12 : at + 5]
            print("query", name, file=sys.stderr, flush=True)
            with open(zone) as lines:
                known = [line.split()[0] for line in lines if line.split()[1:] == [name]]
            if not known:
                continue
            family, wanted = (socket.AF_INET6, ":") if kind == b"\0\x1c" else (socket.AF_INET, ".")
            found = [socket.inet_pton(family, one) for one in known if wanted in one]
            records = b"".join(b"\xc0\x0c" + kind + b"\0\1\0\0\0\1" + len(one).to_bytes(2, "big") + one for one in found)
            header = query[:2] + b"\x81\x80\0\1" + len(found).to_bytes(2, "big") + bytes(4)
            sock.sendto(header + question + records, asker)


# As a default router for so many seconds, to all nodes (RFC 4861, 4.2); the kernel fills in the checksum.
def advertise(device, seconds):
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        message = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, int(seconds), 0, 0)
        sock.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(device)))


def chatter(*addresses):
    query = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + b"\x06secret\x07example\x00" + struct.pack(">2H", 1, 1)
    udp = {family: socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)}
    while True:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for port in 53, 9:
                try:
                    udp[family].sendto(query, socket.MSG_DONTWAIT, (address, port))
                except OSError:
                    pass
            with socket.socket(family) as tcp:
                tcp.setblocking(False)
                tcp.connect_ex((address, 80))
        time.sleep(0.002)


def scan(pid):
    needles = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    found, scanned, overlap = set(), 0, max(map(len, needles)) - 1
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, mode, *_ = line.split()
            if mode[0] != "r" or "[vvar" in line or "[vsyscall" in line:
                continue
            at, end = (int(x, 16) for x in span.split("-"))
            tail = b""
            while at < end:
                try:
                    memory.seek(at)
                    piece = memory.read(min(1 << 20, end - at))
                except OSError:  # a page that nobody has touched, or may not be read
                    at, tail = at + 4096, b""
                    continue
                if not piece:
                    break
                scanned += len(piece)
                found |= {n for n in needles if n in tail + piece}
                tail = piece[-overlap:]
                at += len(piece)
    print("scanned", scanned)
    for needle in found:
        print("found", needle.hex())


def faults(path):
    with open(path, "rb") as table:
        while record := table.read(48):
            name, count, _ = struct.unpack("32sQQ", record)
            print(name.rstrip(b"\0").decode(), count)


def meddle(port, to, count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind(("127.0.0.1", int(port)))
    print("listening", file=sys.stderr, flush=True)
    late = None
    for number in range(int(count)):
        data, kind = sock.recv(65535), number % 100
        if kind < 4:
            continue
        if kind < 9:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if 20 <= kind < 26 and kind % 2 == 0:  # the next one overtakes it
            late = data
            continue
        for _ in range(2 if kind in (50, 51) else 1):
            sock.sendto(data, ("127.0.0.1", int(to)))
        if late:
            sock.sendto(late, ("127.0.0.1", int(to)))
            late = None


def notify(address, seconds="inf"):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sock.bind("\0" + address[1:] if address[0] == "@" else address)
        print("listening", flush=True)
        due = float("inf")
        while True:
            left = due - time.monotonic()
            if left <= 0:
                print("expired", flush=True)
                due = float("inf")
            elif select.select([sock], [], [], min(left, 1))[0]:
                data, control, *_ = sock.recvmsg(4096, 256)
                pid = struct.unpack("i", control[0][2][:4])[0]
                lines = data.decode().split("\n")
                print(pid, "|".join(lines), flush=True)
                if "READY=1" in lines and due == float("inf") or "WATCHDOG=1" in lines:
                    due = time.monotonic() + float(seconds)


class Relay:
    """Stands between two peers, A and B: each has the relay's socket as the other's endpoint.
    `tool.py relay PORT-A ADDRESS-A PORT-B ADDRESS-B`: what comes to PORT-A is A's, and goes out of PORT-B to ADDRESS-B, port 51820;
    and the other way about. Remembers all that it carries. Commands on stdin, one answer line each:

        hold a|b, release a|b   keeps the datagrams of that peer back; lets them go on
        held a|b                waits until something of it is kept back
        flip a|b KEY            sends the first one kept back with each single bit of it flipped, and a bit of each byte flipped with mac1 made good
                                for KEY (the receiver's public key in hex). mac2 is left alone: nobody reads it without load. So is, with
                                a good mac1, the sender's index: nothing else vouches for it, it is for the receiver to send back
        tail a|b                the same for the bits of mac2 alone
        noise a|b COUNT         random bytes of every length, half of them with a type and zeroes as WireGuard has them
        replay                  sends all it ever carried again, both ways
      Each of these four answers with how many datagrams other than keepalives it drew.
        seen a|b                how many datagrams were carried from it
    """
    KEEPALIVE = 32

    def __init__(self, port_a, address_a, port_b, address_b):
        self.sockets = {}
        for side, port in (("a", port_a), ("b", port_b)):
            self.sockets[side] = sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.bind(("0.0.0.0", int(port)))
        self.peer = {"a": (address_a, 51820), "b": (address_b, 51820)}
        self.kept = {"a": None, "b": None}
        self.log = []

    @staticmethod
    def other(side):
        return "b" if side == "a" else "a"

    def take(self, side):
        """One datagram of `side`, passed on or kept back."""
        data, self.peer[side] = self.sockets[side].recvfrom(65535)
        if self.kept[side] is not None:
            self.kept[side].append(data)
        else:
            self.pass_on(side, data)

    def pass_on(self, side, data, remember=True):
        if remember:
            self.log.append((side, data))
        to = self.other(side)
        self.sockets[to].sendto(data, self.peer[to])

    def pump(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for sock in select.select(list(self.sockets.values()), [], [], left)[0]:
                self.take("a" if sock is self.sockets["a"] else "b")

    def shoot(self, side, datagrams):
        """Sends each as if `side` had, a few a millisecond; how many datagrams that drew from the other."""
        aim = self.other(side)
        saved, self.kept[aim] = self.kept[aim], []  # an answer is counted, and goes nowhere
        for number, data in enumerate(datagrams):
            self.pass_on(side, data, remember=False)
            if number % 4 == 0:
                self.pump(0.001)
        self.pump(0.3)
        drawn = sum(len(data) != self.KEEPALIVE for data in self.kept[aim])
        self.kept[aim] = saved
        return drawn

    @staticmethod
    def flipped(data, bits):
        for bit in bits:
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            yield bytes(changed)

    def flip(self, side, key):
        original = self.kept[side][0]
        key = hashlib.blake2s(b"mac1----" + bytes.fromhex(key)).digest()
        mac1 = len(original) - 32
        bad = list(self.flipped(original, range((mac1 + 16) * 8)))
        for data in self.flipped(original, [*range(3, 4 * 8, 8), *range(8 * 8 + 3, mac1 * 8, 8)]):
            body = data[:mac1]
            bad.append(body + hashlib.blake2s(body, key=key, digest_size=16).digest() + data[mac1 + 16:])
        return self.shoot(side, bad)

    def tail(self, side):
        original = next(data for who, data in self.log if who == side)
        return self.shoot(side, self.flipped(original, range((len(original) - 16) * 8, len(original) * 8)))

    def noise(self, side, count):
        chance = random.Random(int(count))
        datagrams = []
        for number in range(int(count)):
            data = chance.randbytes(number % 1500)
            if number % 2:
                data = bytes([chance.randint(1, 4), 0, 0, 0])[:len(data)] + data[4:]
            datagrams.append(data)
        return self.shoot(side, datagrams)

    def replay(self):
        carried = list(self.log)
        return sum(self.shoot(side, [data for who, data in carried if who == side]) for side in "ab")

    def held(self, side):
        end = time.monotonic() + 20
        while not self.kept[side] and time.monotonic() < end:
            self.pump(0.05)
        return len(self.kept[side])

    def command(self, verb, *words):
        if verb == "hold":
            self.kept[words[0]] = []
            return "ok"
        if verb == "release":
            kept, self.kept[words[0]] = self.kept[words[0]], None
            for data in kept:
                self.pass_on(words[0], data)
            return "ok"
        if verb == "seen":
            return sum(who == words[0] for who, _ in self.log)
        return {"held": self.held, "flip": self.flip, "tail": self.tail, "noise": self.noise, "replay": self.replay}[verb](*words)

    def run(self):
        os.set_blocking(0, False)
        pending = b""
        while True:
            ready = select.select([0, *self.sockets.values()], [], [])[0]
            if 0 in ready:
                piece = os.read(0, 4096)
                if not piece:
                    return
                pending += piece
                while b"\n" in pending:
                    line, pending = pending.split(b"\n", 1)
                    print(self.command(*line.decode().split()), flush=True)
            for side, sock in self.sockets.items():
                if sock in ready and select.select([sock], [], [], 0)[0]:
                    self.take(side)


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    if verb == "relay":
        Relay(*arguments).run()
    else:
        {"uapi": uapi, "touch": touch, "receive": receive, "send": send, "nameserver": nameserver, "scan": scan, "faults": faults,
         "meddle": meddle, "chatter": chatter, "notify": notify, "advertise": advertise}[verb](*arguments)
