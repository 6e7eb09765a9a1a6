#!/usr/bin/env python3
"""Known answers for crypto/upgrade.c, from the specification of the session upgrade alone (docs/session-upgrade.md).

Prints tests/unit/crypto/upgrade_vectors.h:  tests/upgrade_vectors.py >tests/unit/crypto/upgrade_vectors.h
tests/upgrade_vectors.sh sees that the two are the same. A second implementation, on Python's hashlib and hmac: when it
and the C disagree, the document says who is right; neither is to be made from the other.
"""
import hashlib
import hmac
import itertools
import struct

HELLO, OFFER, ACCEPT = 1, 2, 3
CHACHA, GCM, AEGIS = range(3)
LABEL = b"adit-upgrade-1" + bytes(2)
MLKEM_KEY, MLKEM_CIPHERTEXT = 1184, 1088


# ---- Keys

def HASH(data):
    return hashlib.blake2s(data).digest()


def HMAC(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def KDF3(key, data):
    prk = HMAC(key, data)
    first = HMAC(prk, b"\x01")
    second = HMAC(prk, first + b"\x02")
    return first, second, HMAC(prk, second + b"\x03")


def exporter(ck):
    return KDF3(ck, b"")[2]


def schedule(ck, h, offer, accept, ss):
    """k_i2r, k_r2i and tag; `accept` without its tag."""
    k_i2r, k_r2i, c = KDF3(exporter(ck), ss + HASH(LABEL + h + offer + accept))
    return k_i2r, k_r2i, c[:16]


# ---- Frames

def cost(ns):
    if ns == 0:
        return 0
    n = sorted((8, ns, 2**31))[1]
    e = n.bit_length() - 1
    return 8 * e + n * 8 // 2**e % 8


def choice(ours, theirs):
    usable = [i for i in range(3) if ours[i] and theirs[i]]
    return min(usable, key=lambda i: (max(ours[i], theirs[i]), ours[i] + theirs[i], i), default=-1)


def header(type, length, index=0, kem=0, flags=0, cipher=0, ns=(0, 0, 0)):
    return struct.pack("<BBHIBBBB4B", 0x01, type, length, index, kem, flags, cipher, 1, *map(cost, ns), 0)


def padded(frame):
    whole = max(32, -(-len(frame) // 16) * 16)
    assert whole <= 1200
    return frame.ljust(whole, b"\0")


def count_up(length, first):
    return bytes((first + i) & 255 for i in range(length))


# ---- The rows

COSTS = sorted({0, 1, 7, 2**32 - 1, 2**32, 2**63, 104, 163, 582, 649, 1152, 1420} |
               {2**e + d for e in (3, 4, 5, 10, 20, 30, 31) for d in (-1, 0, 1)} | set(range(8, 17)) |
               {1024 + 128 * i + d for i in range(8) for d in (-1, 0)})

CHOICES = [
    ([81, 53, 0], [81, 53, 0]),      # both are fastest with AES-GCM
    ([81, 53, 59], [81, 0, 59]),     # one has no AES-GCM
    ([81, 53, 59], [81, 90, 95]),    # AES-GCM without instructions for it: the slower side decides
    ([81, 0, 0], [0, 53, 0]),        # nothing in common
    ([0, 0, 0], [81, 53, 59]),
    ([80, 80, 70], [70, 60, 80]),    # equal max, least sum
    ([70, 80, 80], [80, 60, 60]),    # equal max, equal sum of two: the id
    ([80, 80, 80], [80, 80, 80]),    # all equal: the id
    ([80, 70, 80], [70, 80, 70]),
    ([255, 255, 255], [255, 255, 254]),
    ([1, 0, 1], [255, 1, 254]),
]

# what, type, index, kem, flags, ns, first byte of the key
FRAMES = [
    ("HELLO", HELLO, 0, 0, 0, (1180, 0, 0), None),
    ("HELLO with all", HELLO, 0, 1, 1, (582, 104, 163), None),
    ("OFFER", OFFER, 0x11223344, 0, 0, (1152, 110, 0), None),
    ("OFFER with a key", OFFER, 0xffeeddcc, 1, 0, (582, 104, 163), 0x40),
    ("OFFER with a key, required", OFFER, 0, 1, 1, (1, 2**40, 0), 0xc1),
]

# what, ck, h, then index, kem, flags, ns of the OFFER, then index, cipher, flags, ns of the ACCEPT, ss
KEYS = [
    ("of the specification", count_up(32, 0x00), count_up(32, 0x20),
     (0x11223344, 0, 0, (1152, 104, 0)), (0x55667788, GCM, 0, (1152, 104, 0)), None),
    ("another h", count_up(32, 0x00), count_up(32, 0x21),
     (0x11223344, 0, 0, (1152, 104, 0)), (0x55667788, GCM, 0, (1152, 104, 0)), None),
    ("an index of the other side", count_up(32, 0x00), count_up(32, 0x20),
     (0x11223344, 0, 0, (1152, 104, 0)), (0x55667789, GCM, 0, (1152, 104, 0)), None),
    ("flags and all costs", count_up(32, 0xa0), count_up(32, 0xc0),
     (1, 0, 1, (582, 104, 163)), (0xffffffff, AEGIS, 1, (1180, 649, 160)), None),
    ("with ML-KEM", count_up(32, 0x00), count_up(32, 0x20),
     (0x11223344, 1, 0, (1152, 104, 0)), (0x55667788, GCM, 0, (1152, 104, 0)), count_up(32, 0x80)),
    ("with ML-KEM and a secret of zeros", count_up(32, 0x00), count_up(32, 0x20),
     (0x11223344, 1, 0, (1152, 104, 0)), (0x55667788, GCM, 0, (1152, 104, 0)), bytes(32)),
]
KEY_FIRST, CIPHERTEXT_FIRST = 0x40, 0x60


def offer_of(index, kem, flags, ns, first=KEY_FIRST):
    key = count_up(MLKEM_KEY, first) if kem else b""
    return header(OFFER, 16 + len(key), index, kem, flags, ns=ns) + key


def print_costs():
    print("static const struct {\n        uint64_t ns;\n        uint8_t cost;\n} cost_rows[] = {")
    for ns in COSTS:
        print(f"        {{ UINT64_C({ns}), {cost(ns)} }},")
    print("};\n")


def print_choices():
    print("static const struct {\n        uint8_t ours[4], theirs[4];\n        int choice;\n} choice_rows[] = {")
    for ours, theirs in itertools.chain(CHOICES, ((b, a) for a, b in CHOICES)):
        sides = ", ".join("{ " + ", ".join(map(str, side + [0])) + " }" for side in (ours, theirs))
        print(f"        {{ {sides}, {choice(ours, theirs)} }},")
    print("};\n")


def print_frames():
    print("static const struct {\n        const char *what;\n        uint8_t type, kem, flags, first;\n"
          "        uint32_t index;\n        uint64_t ns[3];\n        size_t padded;\n"
          "        const char *header, *hash;\n} frame_rows[] = {")
    for what, type, index, kem, flags, ns, first in FRAMES:
        if type == HELLO:
            frame = header(HELLO, 16, 0, kem, flags, ns=ns)
        else:
            frame = offer_of(index, kem, flags, ns, first)
        times = ", ".join(f"UINT64_C({n})" for n in ns)
        print(f'        {{ "{what}", {type}, {kem}, {flags}, {first or 0}, {index}u, {{ {times} }},')
        print(f'          {len(padded(frame))},')
        print(f'          "{frame[:16].hex()}",\n          "{HASH(padded(frame)).hex()}" }},')
    print("};\n")


def print_keys():
    print("/* The hash is of the whole ACCEPT, padded. ss: none, without ML-KEM. */\n"
          "static const struct {\n        const char *what, *ck, *h, *offer, *accept, *ss;\n"
          "        const char *exporter, *i2r, *r2i, *tag, *hash;\n} key_rows[] = {")
    for what, ck, h, offer_fields, (index, cipher, flags, ns), ss in KEYS:
        kem = offer_fields[1]
        offer = offer_of(*offer_fields)
        ciphertext = count_up(MLKEM_CIPHERTEXT, CIPHERTEXT_FIRST) if kem else b""
        accept = header(ACCEPT, 32 + len(ciphertext), index, kem, flags, cipher, ns) + ciphertext
        k_i2r, k_r2i, tag = schedule(ck, h, offer, accept, ss or bytes(32))
        if what == "of the specification":  # as the document prints it
            assert offer.hex() == "01021000443322110000000151350000"
            assert accept.hex() == "01032000887766550000010151350000"
            assert tag.hex() == "c4afa0cfaef9ff0ef4369ef554eafbab"
            assert k_i2r.hex() == "b03c07883b3a1857cf6a94fa922ba974f4310f5ba87aac076136a8ca0d4660cd"
        print(f'        {{ "{what}",')
        for value in (ck, h, offer[:16], accept[:16], ss, exporter(ck), k_i2r, k_r2i, tag, HASH(padded(accept + tag))):
            print("          " + ("NULL" if value is None else f'"{value.hex()}"') + ",")
        print("        },")
    print("};\n")


def main():
    print("#ifndef ADIT_TESTS_UNIT_CRYPTO_UPGRADE_VECTORS_H\n#define ADIT_TESTS_UNIT_CRYPTO_UPGRADE_VECTORS_H\n\n"
          "/* Printed by tests/upgrade_vectors.py: change that. Bodies count up from these, or from `first`. */\n\n"
          "#include <stddef.h>\n#include <stdint.h>\n\n/* clang-format off */\n")
    print(f"enum {{ KEY_FIRST = {KEY_FIRST:#x}, CIPHERTEXT_FIRST = {CIPHERTEXT_FIRST:#x} }};\n")
    print_costs()
    print_choices()
    print_frames()
    print_keys()
    print("/* clang-format on */\n\n#endif")


main()
