"""Opens a capture of one peer's packets, as one who knows its keys. Written from the WireGuard paper (5.4) and
docs/session-upgrade.md alone, over hashlib and libsodium: it shares no code with what it judges.

    decrypt.py PCAP KEYLOG ADDRESS PRIVATE-KEY-FILE PEER-PUBLIC-KEY [PRESHARED-KEY-FILE]

PCAP is Ethernet, of the UDP datagrams between us, at ADDRESS, and one peer, from the first handshake on; KEYLOG is keylog.so's of us.
Prints a line for each datagram: out|in, what it is, and of which session:

    out initiation                       in response S1
    out data S1 0 empty                  its counter; or IPv4, IPv6 (right in length and padding), HELLO, OFFER, ACCEPT, other
    out data S1 1 OFFER                  a frame is right in version, length and padding, an ACCEPT in its tag
    out data C1 0 IPv4                   C1: the child that was agreed on in S1; where it has no ML-KEM it is opened, too
    in data C1 7 sealed                  not opened: of a child with ML-KEM it cannot be, of another session it is wrong
    in data C1 8 S1-opens-it             opened with the keys of a session that it is not of
    in data - 9 sealed                   of a session that nobody has agreed on

    decrypt.py can-aes      succeeds where libsodium has AES-256-GCM for this machine
"""
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import socket
import struct
import sys

sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
sodium.sodium_init()
NONE, MLKEM = 0, 1
CHACHA, AES, AEGIS = 0, 1, 2


# ---- the paper's functions (5.4) --------------------------------------------------------------------------------------

def HASH(data):
    return hashlib.blake2s(data).digest()


def HMAC(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def KDF(number, key, data):
    secret, out = HMAC(key, data), [b""]
    for i in range(1, number + 1):
        out.append(HMAC(secret, out[-1] + bytes([i])))
    return out[1:]


def DH(private, public):
    shared = ctypes.create_string_buffer(32)
    if sodium.crypto_scalarmult(shared, private, public):
        raise ValueError("a point of low order")
    return shared.raw


def PUBLIC(private):
    public = ctypes.create_string_buffer(32)
    sodium.crypto_scalarmult_base(public, private)
    return public.raw


def opener(name, nonce_size, tag, before=lambda: 1):
    function = getattr(sodium, f"crypto_aead_{name}_decrypt", None)
    if not function or not before():
        return None

    def opens(key, counter, sealed, ad=b""):
        """The plaintext, or None."""
        if len(sealed) < tag:
            return None
        plain, size = ctypes.create_string_buffer(len(sealed)), ctypes.c_ulonglong()
        nonce = bytes(nonce_size - 8) + struct.pack("<Q", counter)
        failed = function(plain, ctypes.byref(size), None, sealed, ctypes.c_ulonglong(len(sealed)), ad, ctypes.c_ulonglong(len(ad)), nonce, key)
        return None if failed else plain.raw[:size.value]
    return opens


AEAD = {
    CHACHA: opener("chacha20poly1305_ietf", 12, 16),
    AES: opener("aes256gcm", 12, 16, lambda: sodium.crypto_aead_aes256gcm_is_available()),
    AEGIS: opener("aegis256", 32, 32),
}


# ---- sessions ---------------------------------------------------------------------------------------------------------

class Handshake:
    """Noise_IKpsk2 from whichever end is ours: of each DH one half is."""

    def __init__(self, responder):
        self.ck = HASH(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        self.h = HASH(HASH(self.ck + b"WireGuard v1 zx2c4 Jason@zx2c4.com") + responder)

    def mix_hash(self, data):
        self.h = HASH(self.h + data)

    def mix_key(self, number, data):
        self.ck, *rest = KDF(number, self.ck, data)
        return rest

    def open(self, key, sealed):
        plain = AEAD[CHACHA](key, 0, sealed, self.h)
        self.mix_hash(sealed)
        return plain


class Session:
    def __init__(self, name, cipher, keys, we_begin):
        self.name, self.cipher = name, cipher
        self.keys = dict(zip(("out", "in") if we_begin else ("in", "out"), keys)) if keys else None
        self.we_begin = we_begin
        self.offers = []

    def open(self, direction, counter, sealed):
        opens = AEAD[self.cipher]
        return opens and self.keys and opens(self.keys[direction], counter, sealed)


class Witness:
    def __init__(self, drawn, private, peer, psk):
        self.ephemerals = {PUBLIC(one): one for one in drawn}
        self.private, self.public, self.peer, self.psk = private, PUBLIC(private), peer, psk
        self.pending = {}   # (direction, the initiator's index): a Handshake
        self.sessions = {}  # (direction, receiver's index)
        self.count = 0

    def initiation(self, direction, datagram):
        sender, ephemeral, static, timestamp = datagram[4:8], datagram[8:40], datagram[40:88], datagram[88:116]
        ours = direction == "out"
        hs = Handshake(self.peer if ours else self.public)
        hs.ours, hs.ephemeral = ours, ephemeral
        hs.private = self.ephemerals[ephemeral] if ours else None
        hs.mix_key(1, ephemeral)
        hs.mix_hash(ephemeral)
        [key] = hs.mix_key(2, DH(hs.private, self.peer) if ours else DH(self.private, ephemeral))
        if hs.open(key, static) != (self.public if ours else self.peer):
            return "initiation of-another"
        [key] = hs.mix_key(2, DH(self.private, self.peer))
        if hs.open(key, timestamp) is None:
            return "initiation forged"
        self.pending[direction, sender] = hs
        return "initiation"

    def response(self, direction, datagram):
        sender, receiver, ephemeral, empty = datagram[4:8], datagram[8:12], datagram[12:44], datagram[44:60]
        hs = self.pending.pop(("in" if direction == "out" else "out", receiver), None)
        if not hs:
            return "response unasked"
        if hs.ours:
            ee, se = DH(hs.private, ephemeral), DH(self.private, ephemeral)
        else:
            ee, se = DH(self.ephemerals[ephemeral], hs.ephemeral), DH(self.ephemerals[ephemeral], self.peer)
        hs.mix_key(1, ephemeral)
        hs.mix_hash(ephemeral)
        hs.mix_key(1, ee)
        hs.mix_key(1, se)
        tau, key = hs.mix_key(3, self.psk)
        hs.mix_hash(tau)
        if hs.open(key, empty) != b"":
            return "response forged"
        i2r, r2i, exporter = KDF(3, hs.ck, b"")
        self.count += 1
        session = Session(f"S{self.count}", CHACHA, KDF(2, hs.ck, b""), hs.ours)
        assert session.keys["out" if hs.ours else "in"] == i2r, "KDF2 begins KDF3"
        session.exporter, session.h = exporter, hs.h
        self.sessions["out" if hs.ours else "in", sender] = session    # what it gets is sealed for its index
        self.sessions["in" if hs.ours else "out", receiver] = session
        return f"response {session.name}"

    def data(self, direction, datagram):
        index, (counter,), sealed = datagram[4:8], struct.unpack("<Q", datagram[8:16]), datagram[16:]
        session = self.sessions.get((direction, index))
        name = session.name if session else "-"
        plain = session.open(direction, counter, sealed) if session else None
        if plain is not None:
            return f"data {name} {counter} {self.kind(session, direction, plain)}"
        for other in self.sessions.values():
            if other.open(direction, counter, sealed) is not None:
                return f"data {name} {counter} {other.name}-opens-it"
        return f"data {name} {counter} sealed"

    # ---- what is inside

    def kind(self, session, direction, plain):
        if not plain:
            return "empty"
        if plain[0] >> 4 == 4 and len(plain) >= 20:
            return "IPv4" if self.padded(plain, struct.unpack(">H", plain[2:4])[0]) else "other"
        if plain[0] >> 4 == 6 and len(plain) >= 40:
            return "IPv6" if self.padded(plain, 40 + struct.unpack(">H", plain[4:6])[0]) else "other"
        return self.frame(session, direction, plain) or "other"

    @staticmethod
    def padded(plain, size):
        """Zeros to a multiple of 16, or less where the MTU is less."""
        return size <= len(plain) <= (size + 15) // 16 * 16 and not any(plain[size:])

    def frame(self, session, direction, plain):
        if len(plain) < 32 or plain[0] != 1 or session.name[0] != "S":
            return None
        kind, length, kem = plain[1], struct.unpack("<H", plain[2:4])[0], plain[8]
        if len(plain) != max(32, (length + 15) // 16 * 16) or len(plain) > 1200 or any(plain[length:]):
            return None
        frame, from_initiator = plain[:length], session.we_begin == (direction == "out")
        if kind == 1 and length >= 16 and not any(frame[4:8]):
            return "HELLO"
        if kind == 2 and length == (1200 if kem else 16) and from_initiator:
            session.offers.append((direction, frame))
            return "OFFER"
        if kind == 3 and length == (1120 if kem else 32) and not from_initiator:
            return self.accept(session, direction, frame)
        return None

    def accept(self, session, direction, accept):
        """[Keys] A child with ML-KEM has a tag that nobody can check who lacks the secret."""
        offers = [one for one in session.offers if one[1][8] == accept[8]]
        if not offers:
            return None
        offered, offer = offers[-1]
        keys = None
        if accept[8] == NONE:
            th = HASH(b"adit-upgrade-1\0\0" + session.h + offer + accept[:-16])
            i2r, r2i, c = KDF(3, session.exporter, bytes(32) + th)
            if c[:16] != accept[-16:]:
                return None
            keys = i2r, r2i
        child = Session("C" + session.name[1:], accept[10], keys, session.we_begin)
        self.sessions[direction, offer[4:8]] = child
        self.sessions[offered, accept[4:8]] = child
        return "ACCEPT"

    def look(self, direction, datagram):
        kind = datagram[:4]
        if kind == b"\1\0\0\0" and len(datagram) == 148:
            return self.initiation(direction, datagram)
        if kind == b"\2\0\0\0" and len(datagram) == 92:
            return self.response(direction, datagram)
        if kind == b"\3\0\0\0" and len(datagram) == 64:
            return "cookie"
        if kind == b"\4\0\0\0" and len(datagram) >= 32:
            return self.data(direction, datagram)
        return "no-message"


# ---- files ------------------------------------------------------------------------------------------------------------

def datagrams(path):
    """(source address, payload) of each UDP datagram."""
    with open(path, "rb") as file:
        magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", file.read(24))
        assert magic in (0xA1B2C3D4, 0xA1B23C4D) and link == 1, "a pcap of Ethernet, of this machine"
        while len(header := file.read(16)) == 16:
            _, _, size, whole = struct.unpack("<IIII", header)
            frame = file.read(size)
            assert size == whole, "captured whole"
            kind, packet = frame[12:14], frame[14:]
            if kind == b"\x08\0" and packet[9] == 17:
                source, udp = socket.inet_ntop(socket.AF_INET, packet[12:16]), packet[(packet[0] & 15) * 4:]
            elif kind == b"\x86\xdd" and packet[6] == 17:
                source, udp = socket.inet_ntop(socket.AF_INET6, packet[8:24]), packet[40:]
            else:
                continue
            yield source, udp[8:struct.unpack(">H", udp[4:6])[0]]


def key(path):
    with open(path) as file:
        return base64.b64decode(file.read())


def main(pcap, keylog, address, private, peer, psk=None):
    with open(keylog, "rb") as file:
        [count] = struct.unpack("<Q", file.read(8))
        drawn = [file.read(32) for _ in range(count)]
    witness = Witness(drawn, key(private), base64.b64decode(peer), key(psk) if psk else bytes(32))
    for source, datagram in datagrams(pcap):
        direction = "out" if source == address else "in"
        print(direction, witness.look(direction, datagram))


if __name__ == "__main__":
    if sys.argv[1:] == ["can-aes"]:
        sys.exit(not AEAD[AES])
    main(*sys.argv[1:])
