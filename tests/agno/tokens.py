"""Valid and invalid tokens for the key of a configuration, and key generation.

    python tokens.py keys DIRECTORY   generates a key pair for each algorithm: ALGORITHM.pem, ALGORITHM.pub, ALGORITHM.jwks

The JWKS file contains two keys: the public key of the pair without a `kid`, and the one of ALGORITHM.other.pem as `1`.
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


def generate_keys(directory):
    for name, generate in GENERATORS.items():
        keys = []
        for file in (directory / f"{name}.pem", directory / f"{name}.other.pem"):
            key = generate()
            encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            file.write_bytes(key.private_bytes(*encoding))
            keys.append(key.public_key())
        encoding = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        (directory / f"{name}.pub").write_bytes(keys[0].public_bytes(*encoding))
        jwks = [json.loads(ALGORITHMS[name].to_jwk(key)) for key in keys]
        (directory / f"{name}.jwks").write_text(json.dumps({"keys": [jwks[0], jwks[1] | {"kid": "1"}]}))


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@functools.cache
def parsed_key(algorithm, key):
    """Parses a key. Cached, because parsing a private key takes longer than signing."""
    return ALGORITHMS[algorithm].prepare_key(key)


def sign(algorithm, key, message):
    """Signs a message with a shared secret or a private key in PEM."""
    return ALGORITHMS[algorithm].sign(message, parsed_key(algorithm, key))


def token(c, claims, header=None, algorithm=None, key=None):
    """Returns a token with these claims. By default, header and key are those of the configuration."""
    header = {"alg": c["algorithm"], "typ": "JWT"} | (header or {})
    return token_from_bytes(c, json.dumps(claims).encode(), json.dumps(header).encode(), algorithm, key)


def token_from_bytes(c, claims, header=None, algorithm=None, key=None):
    """Like token(), but from bytes, which can be invalid JSON."""
    header = json.dumps({"alg": c["algorithm"]}).encode() if header is None else header
    signed = f"{base64url(header)}.{base64url(claims)}"
    return f"{signed}.{base64url(sign(algorithm or c['algorithm'], key or c['secret'], signed.encode()))}"


def bearer(value):
    return [("Authorization", f"Bearer {value}")]


def configured_claims(c):
    """Returns headers with tokens whose claims vary, for configurations of the names of the claims."""
    valid = {
        "sub": "1", "email": "alice", "uid": "alice", "permissions": ["learnings:delete"], "scope": "learnings:delete",
        "client_id": "os-2", "aud": "another",
    }  # fmt: skip
    users = [None, "", "alice", "bob", "sa:bot", "sa:", "__scheduler__", "__oauth__:x", 7, True, ["alice"], {}]
    scopes = [
        None, "", "learnings:delete", "agent_os:admin", "learnings:read learnings:delete", " learnings:delete ", [], 7, {},
        ["learnings:delete"], ["learnings:read", "learnings:*:delete"], ["agent_os:admin"], ["learnings:delete", 7],
        ["learnings:read learnings:delete"], {"learnings:delete": True},
    ]  # fmt: skip
    audiences = [None, "", "os-1", "os-2", "os-3", ["os-1"], ["os-3", "os-2"], ["os-3"], [], 7, [7], {}]
    variants = [{}, {"scopes": ["agent_os:admin"]}, {"sub": 7}, {"sub": "sa:bot"}, {"sub": None}]
    variants += [{name: value} for name in ("email", "uid") for value in users]
    variants += [{name: value} for name in ("permissions", "scope", "scopes") for value in scopes]
    variants += [{name: value} for name in ("client_id", "aud") for value in audiences]
    claims = [valid | variant for variant in variants]
    claims += [{key: value for key, value in valid.items() if key != name} for name in valid]
    return [bearer(token(c, each)) for each in claims]


# --- malicious tokens ------------------------------------------------------------------------------------------------

# The claims of a valid token, and those that an attacker wants.
CLAIMS = {"sub": "alice", "scopes": ["learnings:delete"]}
ADMIN_CLAIMS = {"sub": "root", "scopes": ["agent_os:admin", "learnings:root"]}


def malicious(c):
    """Returns headers with forged, confused and malformed tokens. Few of them verify, and those grant little."""
    generators = (
        unsigned, signed_with_public_values, signed_with_unknown_keys, key_ids, signatures, parts, claims, headers,
        audiences,
    )  # fmt: skip
    return [bearer(value) for generator in generators for value in generator(c)]


def unsigned(c):
    """Tokens without a signature, or with an invalid algorithm."""
    for name in ("none", "None", "NONE", "nOnE", "", " ", "null"):
        forged = token(c, ADMIN_CLAIMS, {"alg": name})
        yield from (forged, forged.rsplit(".", 1)[0] + ".", forged.rsplit(".", 1)[0])
    own = c["algorithm"]
    for name in (None, 7, True, [own], {own: 1}, own.lower(), own + " "):
        yield token(c, ADMIN_CLAIMS, {"alg": name})
    yield token_from_bytes(c, json.dumps(CLAIMS).encode(), b'{"typ":"JWT"}')


def signed_with_public_values(c):
    """Tokens with an HMAC whose secret is public: an empty key, or the public key in several encodings."""
    public_values = [b"", b"\0" * 32, b"secret", c["algorithm"].encode()]
    if c.get("public"):
        public = c["public"].encode()
        encoding = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        der = serialization.load_pem_public_key(public).public_bytes(*encoding)
        public_values += [public, public.strip(), public.replace(b"\n", b"\r\n"), der]
    for key in public_values:
        for name, hash in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), (c["algorithm"], "sha256")):
            signed = base64url(json.dumps({"alg": name}).encode()) + "." + base64url(json.dumps(ADMIN_CLAIMS).encode())
            yield f"{signed}.{base64url(hmac.new(key, signed.encode(), hash).digest())}"


def signed_with_unknown_keys(c):
    """Tokens signed with a key that is in the token, or that the token refers to."""
    unknown_key = ec.generate_private_key(ec.SECP256R1())
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = unknown_key.private_bytes(*encoding).decode()
    jwk = json.loads(ALGORITHMS["ES256"].to_jwk(unknown_key.public_key()))
    references = {"jku": "http://127.0.0.1:1/jwks"}, {"x5u": "http://127.0.0.1:1/"}, {"x5c": ["AAAA"]}
    for members in ({}, {"jwk": jwk}, *references):
        for name in ("ES256", c["algorithm"]):
            yield token(c, ADMIN_CLAIMS, {"alg": name} | members, algorithm="ES256", key=pem)
        yield token(c, CLAIMS, members)


def key_ids(c):
    """Tokens whose `kid` is a path, an SQL fragment, or not a string. A JWKS file contains the `kid` 1."""
    paths = "../../../../dev/null", "/etc/passwd", "' OR '1'='1", "1\0", "a" * 5000, "ü"
    for kid in ("1", "2", "_default", "", *paths, 1, None, [], {}, True):
        yield token(c, CLAIMS, {"kid": kid})
        if c.get("other"):
            yield token(c, CLAIMS, {"kid": kid}, key=c["other"])


def signatures(c):
    """Invalid and modified signatures."""
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
        # The second valid signature of the same message. It can be computed without the key.
        others.append(raw[:half] + (order - s).to_bytes(half, "big"))
        others += [order.to_bytes(half, "big") * 2, (1).to_bytes(half, "big") * 2]
    yield from (f"{signed}.{base64url(other)}" for other in others)
    if c["algorithm"][:2] in ("RS", "PS"):
        yield from (token(c, CLAIMS, algorithm=algorithm) for algorithm in ("RS256", "RS384", "PS256", "PS384"))


def parts(c):
    """Tokens with missing, additional or empty parts, or with parts that are not base64url."""
    valid = token(c, CLAIMS)
    head, body, signature = valid.split(".")
    yield from (valid, f"{head}.{body}", f"{head}.{body}.", f".{body}.{signature}", f"{head}..{signature}", f"{valid}.")
    yield from (f".{valid}", f"{valid}.{signature}", f"{head}.{body}.{body}.{signature}.{signature}", "...", "a.b.c")
    yield f"{head}.{signature}.{body}"
    for at in (0, 1, 2):
        # The second group sets the unused trailing bits.
        ends = ("=", "==", "===", "+", "/", "~", "\t", "%3D", "AA", "é", "-_")
        changes = [lambda part, end=end: part + end for end in ends]
        changes += [lambda part, end=end: part[:-1] + end for end in "ABCDQgw_-"]
        for change in changes:
            yield ".".join(change(part) if index == at else part for index, part in enumerate((head, body, signature)))
    yield from (f"{head}.{body}.{signature[:8]}{inserted}{signature[8:]}" for inserted in ("~", "\xa0", "=", "+"))


# The members of valid claims, to which further members are added.
VALID = json.dumps(CLAIMS).encode()[1:-1]
NUMBERS = [
    b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity", b"1e308", b"-1e308", b"1e-400", b"-0", b"-0.0", b"-1", b"1e30",
    b"01", b"+1", b".5", b"1.", b"0x10", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"9007199254740993", b"1_000", b"1E11",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809",
    b"99999999999.999999999999999999", b'"1e400"', b'"NaN"', b'"9999999999"', b'" 9999999999 "', b'"9_999_999_999"', b'""',
]  # fmt: skip


def claims(c):
    """Claims that are not an object, not JSON or not UTF-8, and large, nested or repeated members."""
    bodies = [b"", b" ", b"{", b"[]", b"[1]", b"null", b"true", b"7", b'"text"', b"{}", b"{}{}", b"{} x", b"\0"]
    bodies += [b"{'sub':'alice'}", b"{%b}" % VALID, b"\xef\xbb\xbf{%b}" % VALID, b" \n{%b}\t" % VALID, b"{%b,}" % VALID]
    bodies += [b"{%b}\0" % VALID, b"/**/{%b}" % VALID]
    bodies += [("{%s}" % VALID.decode()).encode(form) for form in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")]
    bodies += [b'{%b,"x":"\xff"}' % VALID, b'{%b,"x":"\\ud800"}' % VALID, b'{%b,"x":"\x01"}' % VALID]
    bodies += [b'{"sub":"\\ud800","scopes":["learnings:delete"]}']
    bodies += [b'{%b,"sub":"bob"}' % VALID, b'{"sub":"bob",%b}' % VALID, b'{%b,"su\\u0062":"bob"}' % VALID]
    bodies += [b'{%b,"scopes":["agent_os:admin","learnings:root"]}' % VALID]
    bodies += [b'{%b,"exp":1,"exp":99999999999}' % VALID, b'{%b,"exp":99999999999,"exp":1}' % VALID]
    for depth in (10, 120, 126, 127, 128, 200, 900, 1100, 8000):
        bodies.append(b'{%b,"x":%b%b}' % (VALID, b"[" * depth, b"]" * depth))
        bodies.append(b'{%b,"x":%b1%b}' % (VALID, b'{"a":' * depth, b"}" * depth))
    bodies += [b'{%b,"%b":%b}' % (VALID, name, number) for number in NUMBERS for name in (b"exp", b"nbf", b"iat", b"x")]
    return [token_from_bytes(c, body) for body in bodies]


def headers(c):
    """Headers with invalid JSON, repeated members and unsupported members."""
    own = c["algorithm"].encode()
    members = [b"", b',"alg":"none"', b',"kid":"1","kid":"2"', b',"x":1,"x":2', b',"x":NaN', b',"x":1e400']
    members += [b',"x":"\\ud800"', b',"zip":"DEF"', b',"enc":"A128GCM"', b',"cty":"JWT"', b',"crit":["x"]']
    members += [b',"b64":0', b',"b64":"false"']
    members += [b',"b64":null', b',"x":' + b"[" * 130 + b"]" * 130]
    heads = [b'{"alg":"%b"%b}' % (own, member) for member in members]
    others = b'{"alg":"none","alg":"%b"}', b'[{"alg":"%b"}]', b'"%b"', b'{"alg":"%b"} ', b'{"ALG":"%b"}'
    heads += [other % own for other in others]
    heads += [b'\xef\xbb\xbf{"alg":"%b"}' % own, b"", b"{}", b"null", b"{", b"\xff", b'{"alg":']
    return [token_from_bytes(c, json.dumps(CLAIMS).encode(), head) for head in heads]


def audiences(c):
    """Tokens with a wrong audience or issuer. The configuration decides whether they are checked."""
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
    generate_keys(Path(sys.argv[2]))
