"""Tokens, well made and otherwise, signed by the key of a configuration.

    python tokens.py keys FOLDER      makes a key pair for each algorithm: ALGORITHM.pem, ALGORITHM.pub, ALGORITHM.jwks

In a key set the key named `1` is another one, ALGORITHM.other.pem; the key without a name is the one of the pair.
"""

import base64
import functools
import hmac
import json
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwt.algorithms import get_default_algorithms

ALGORITHMS = get_default_algorithms()
GENERATORS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS384": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def make_keys(folder):
    for name, generate in GENERATORS.items():
        keys = []
        for file in (folder / f"{name}.pem", folder / f"{name}.other.pem"):
            key = generate()
            form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            file.write_bytes(key.private_bytes(*form))
            keys.append(key.public_key())
        form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / f"{name}.pub").write_bytes(keys[0].public_bytes(*form))
        jwks = [json.loads(ALGORITHMS[name].to_jwk(key)) for key in keys]
        (folder / f"{name}.jwks").write_text(json.dumps({"keys": [jwks[0], jwks[1] | {"kid": "1"}]}))


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@functools.cache
def prepared(algorithm, key):
    """A key as its algorithm takes it; reading a private key takes longer than signing with it."""
    return ALGORITHMS[algorithm].prepare_key(key)


def sign(algorithm, key, message):
    """The signature of a message, by a shared secret or a private key in PEM."""
    return ALGORITHMS[algorithm].sign(message, prepared(algorithm, key))


def token(c, claims, header=None, algorithm=None, key=None):
    """A token of these claims; its header and what it is signed by are as this configuration has it, or otherwise."""
    header = {"alg": c["algorithm"], "typ": "JWT"} | (header or {})
    return of_bytes(c, json.dumps(claims).encode(), json.dumps(header).encode(), algorithm, key)


def of_bytes(c, claims, header=None, algorithm=None, key=None):
    """The same from bytes, which need be no JSON."""
    header = json.dumps({"alg": c["algorithm"]}).encode() if header is None else header
    signed = f"{base64url(header)}.{base64url(claims)}"
    return f"{signed}.{base64url(sign(algorithm or c['algorithm'], key or c['secret'], signed.encode()))}"


def bearer(value):
    return [("Authorization", f"Bearer {value}")]


# --- tokens of whoever wants in ----------------------------------------------------------------------------------------

# What alice may have, and what nobody gets.
CLAIMS = {"sub": "alice", "scopes": ["learnings:delete"]}
WANTED = {"sub": "root", "scopes": ["agent_os:admin", "learnings:root"]}


def hostile(c):
    """Headers with tokens of whoever wants in: forged, confused, malformed. Few of them verify, and those say little."""
    kinds = unsigned, signed_by_what_is_known, signed_by_strangers, named_keys, signatures, parts, claims, headers, meant
    return [bearer(one) for kind in kinds for one in kind(c)]


def unsigned(c):
    """Not signed, or by an algorithm that is none."""
    for name in ("none", "None", "NONE", "nOnE", "", " ", "null"):
        forged = token(c, WANTED, {"alg": name})
        yield from (forged, forged.rsplit(".", 1)[0] + ".", forged.rsplit(".", 1)[0])
    own = c["algorithm"]
    for name in (None, 7, True, [own], {own: 1}, own.lower(), own + " "):
        yield token(c, WANTED, {"alg": name})
    yield of_bytes(c, json.dumps(CLAIMS).encode(), b'{"typ":"JWT"}')


def signed_by_what_is_known(c):
    """Signed by what everybody knows as if it were the secret: the public key in every form of it."""
    known = [b"", b"\0" * 32, b"secret", c["algorithm"].encode()]
    if c.get("public"):
        public = c["public"].encode()
        form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        der = serialization.load_pem_public_key(public).public_bytes(*form)
        known += [public, public.strip(), public.replace(b"\n", b"\r\n"), der]
    for key in known:
        for name, hash in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), (c["algorithm"], "sha256")):
            signed = base64url(json.dumps({"alg": name}).encode()) + "." + base64url(json.dumps(WANTED).encode())
            yield f"{signed}.{base64url(hmac.new(key, signed.encode(), hash).digest())}"


def signed_by_strangers(c):
    """Signed by a key that the token brings along, or says where to find."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = stranger.private_bytes(*form).decode()
    jwk = json.loads(ALGORITHMS["ES256"].to_jwk(stranger.public_key()))
    elsewhere = {"jku": "http://127.0.0.1:1/jwks"}, {"x5u": "http://127.0.0.1:1/"}, {"x5c": ["AAAA"]}
    for more in ({}, {"jwk": jwk}, *elsewhere):
        for name in ("ES256", c["algorithm"]):
            yield token(c, WANTED, {"alg": name} | more, algorithm="ES256", key=pem)
        yield token(c, CLAIMS, more)


def named_keys(c):
    """By the name of a key that is a path, a statement, or no name; `1` is one where there is a set."""
    paths = "../../../../dev/null", "/etc/passwd", "' OR '1'='1", "1\0", "a" * 5000, "ü"
    for kid in ("1", "2", "_default", "", *paths, 1, None, [], {}, True):
        yield token(c, CLAIMS, {"kid": kid})
        if c.get("other"):
            yield token(c, CLAIMS, {"kid": kid}, key=c["other"])


def signatures(c):
    """Signatures that are none, or not quite."""
    signed, signature = token(c, CLAIMS).rsplit(".", 1)
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    size, half = len(raw), len(raw) // 2
    others = [b"", b"\0", b"\0" * size, b"\xff" * size, raw[:-1], raw + b"\0", b"\0" + raw, raw[::-1], raw * 2]
    others += [raw[:-1] + bytes([raw[-1] ^ 1]), bytes([raw[0] ^ 0x80]) + raw[1:], b"\0" * half + raw[half:]]
    if c["algorithm"].startswith("ES"):
        r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        others.append(encode_dss_signature(r, s))
    if c["algorithm"] == "ES256":
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        # The other signature of the same message, which everybody can make: both verify.
        others.append(raw[:half] + (order - s).to_bytes(half, "big"))
        others += [order.to_bytes(half, "big") * 2, (1).to_bytes(half, "big") * 2]
    yield from (f"{signed}.{base64url(one)}" for one in others)
    if c["algorithm"][:2] in ("RS", "PS"):
        yield from (token(c, CLAIMS, algorithm=algorithm) for algorithm in ("RS256", "RS384", "PS256", "PS384"))


def parts(c):
    """Parts too few, too many, empty, or not base64url."""
    good = token(c, CLAIMS)
    head, body, signature = good.split(".")
    yield from (good, f"{head}.{body}", f"{head}.{body}.", f".{body}.{signature}", f"{head}..{signature}", f"{good}.")
    yield from (f".{good}", f"{good}.{signature}", f"{head}.{body}.{body}.{signature}.{signature}", "...", "a.b.c")
    yield f"{head}.{signature}.{body}"
    for at in (0, 1, 2):
        # The last of these set bits that stand for nothing.
        changes = [lambda one, end=end: one + end for end in ("=", "==", "===", "+", "/", "~", "\t", "%3D", "AA", "é", "-_")]
        changes += [lambda one, end=end: one[:-1] + end for end in "ABCDQgw_-"]
        for change in changes:
            yield ".".join(change(one) if index == at else one for index, one in enumerate((head, body, signature)))
    yield from (f"{head}.{body}.{signature[:8]}{within}{signature[8:]}" for within in ("~", "\xa0", "=", "+"))


# Members of claims that are good, to which others are added.
PLAIN = json.dumps(CLAIMS).encode()[1:-1]
NUMBERS = [
    b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity", b"1e308", b"-1e308", b"1e-400", b"-0", b"-0.0", b"-1", b"1e30",
    b"01", b"+1", b".5", b"1.", b"0x10", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"9007199254740993", b"1_000", b"1E11",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809",
    b"99999999999.999999999999999999", b'"1e400"', b'"NaN"', b'"9999999999"', b'" 9999999999 "', b'"9_999_999_999"', b'""',
]  # fmt: skip


def claims(c):
    """Claims that are no object, no JSON, no text; huge, deep, or there twice."""
    bodies = [b"", b" ", b"{", b"[]", b"[1]", b"null", b"true", b"7", b'"text"', b"{}", b"{}{}", b"{} x", b"\0"]
    bodies += [b"{'sub':'alice'}", b"{%b}" % PLAIN, b"\xef\xbb\xbf{%b}" % PLAIN, b" \n{%b}\t" % PLAIN, b"{%b,}" % PLAIN]
    bodies += [b"{%b}\0" % PLAIN, b"/**/{%b}" % PLAIN]
    bodies += [("{%s}" % PLAIN.decode()).encode(form) for form in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")]
    bodies += [b'{%b,"x":"\xff"}' % PLAIN, b'{%b,"x":"\\ud800"}' % PLAIN, b'{%b,"x":"\x01"}' % PLAIN]
    bodies += [b'{"sub":"\\ud800","scopes":["learnings:delete"]}']
    bodies += [b'{%b,"sub":"bob"}' % PLAIN, b'{"sub":"bob",%b}' % PLAIN, b'{%b,"su\\u0062":"bob"}' % PLAIN]
    bodies += [b'{%b,"scopes":["agent_os:admin","learnings:root"]}' % PLAIN]
    bodies += [b'{%b,"exp":1,"exp":99999999999}' % PLAIN, b'{%b,"exp":99999999999,"exp":1}' % PLAIN]
    for depth in (10, 120, 126, 127, 128, 200, 900, 1100, 8000):
        bodies.append(b'{%b,"x":%b%b}' % (PLAIN, b"[" * depth, b"]" * depth))
        bodies.append(b'{%b,"x":%b1%b}' % (PLAIN, b'{"a":' * depth, b"}" * depth))
    bodies += [b'{%b,"%b":%b}' % (PLAIN, name, number) for number in NUMBERS for name in (b"exp", b"nbf", b"iat", b"x")]
    return [of_bytes(c, body) for body in bodies]


def headers(c):
    """The same of headers."""
    own = c["algorithm"].encode()
    members = [b"", b',"alg":"none"', b',"kid":"1","kid":"2"', b',"x":1,"x":2', b',"x":NaN', b',"x":1e400']
    members += [b',"x":"\\ud800"', b',"zip":"DEF"', b',"enc":"A128GCM"', b',"cty":"JWT"', b',"crit":["x"]', b',"b64":0', b',"b64":"false"']
    members += [b',"b64":null', b',"x":' + b"[" * 130 + b"]" * 130]
    heads = [b'{"alg":"%b"%b}' % (own, more) for more in members]
    others = b'{"alg":"none","alg":"%b"}', b'[{"alg":"%b"}]', b'"%b"', b'{"alg":"%b"} ', b'{"ALG":"%b"}'
    heads += [one % own for one in others]
    heads += [b'\xef\xbb\xbf{"alg":"%b"}' % own, b"", b"{}", b"null", b"{", b"\xff", b'{"alg":']
    return [of_bytes(c, json.dumps(CLAIMS).encode(), head) for head in heads]


def meant(c):
    """Meant for another, or from another: of account where the configuration says so."""
    issuer = "https://issuer.example"
    usual = CLAIMS | {"exp": int(time.time()) + 7200}
    lists = ["os-1"], ["x", "os-1"], ["x"], [], [["os-1"]], [None]
    for aud in ("os-1", "os-2", "OS-1", "", *lists, 7, None, {}, {"os-1": 1}, True):
        yield token(c, usual | {"aud": aud, "iss": issuer})
    for iss in (issuer, issuer + "/", issuer.upper(), "", [issuer], 7, None, {}):
        yield token(c, usual | {"aud": "os-1", "iss": iss})
    yield from (token(c, usual | {"aud": "os-1"}), token(c, usual | {"iss": issuer}))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "keys":
        sys.exit(__doc__)
    make_keys(Path(sys.argv[2]))
