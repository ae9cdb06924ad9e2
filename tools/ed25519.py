"""Ed25519 signatures (RFC 8032 §5.1), verified as ed25519-dalek's `verify_strict` does.

That is: s is below the order of the group; R is the one encoding of the point s·B − k·A (so the
equation holds without the cofactor); and neither R nor the key A is of small order. A second
encoding of a key (y not below p) is taken modulo p, as there: it is hashed as it came, and nobody
knows a secret for one that is not of small order. Slow, and not in constant time: it only verifies.
"""
import functools
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # a square root of −1
NEUTRAL = (0, 1, 1, 0)  # points are (X, Y, Z, T) with x = X/Z, y = Y/Z, x·y = T/Z


def add(one, two):
    a = (one[1] - one[0]) * (two[1] - two[0])
    b = (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * D * one[3] * two[3], 2 * one[2] * two[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def decoded(data):
    """The point of these 32 bytes, or None."""
    number = int.from_bytes(data, "little")
    y, sign = number % 2**255 % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    if x * x % P != square:
        return None
    x = x if x & 1 == sign else -x % P
    return x, y, 1, x * y % P


def encoded(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def is_small(point):
    for _ in range(3):
        point = add(point, point)
    return point[0] == 0 and point[1] == point[2]


BASE = decoded((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


@functools.lru_cache(256)
def holds(key, message, signature):
    """Whether these 64 bytes are the signature of the message by the key of 32 bytes."""
    point, s = decoded(key), int.from_bytes(signature[32:], "little")
    if point is None or len(key) != 32 or len(signature) != 64 or s >= ORDER:
        return False
    hashed = hashlib.sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(hashed, "little") % ORDER
    minus = (-point[0] % P, point[1], 1, -point[3] % P)
    sums, total = (None, BASE, minus, add(BASE, minus)), NEUTRAL
    for bit in reversed(range(253)):
        total = add(total, total)
        pick = (s >> bit & 1) + 2 * (k >> bit & 1)
        total = add(total, sums[pick]) if pick else total
    return encoded(total) == signature[:32] and not is_small(total) and not is_small(point)
