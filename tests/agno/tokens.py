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


def hostile(c):
    """Headers with tokens of whoever wants in: forged, confused, malformed. Few of them verify, and those say little."""
    claims = {"sub": "alice", "scopes": ["learnings:delete"]}
    wanted = {"sub": "root", "scopes": ["agent_os:admin", "learnings:root"]}
    of = lambda header, **more: token(c, wanted, header, **more)
    good = token(c, claims)
    head, body, signature = good.split(".")
    all = [good]

    # Unsigned, or said to be.
    for name in ("none", "None", "NONE", "nOnE", "", " ", "null"):
        forged = of({"alg": name})
        all += [forged, forged.rsplit(".", 1)[0] + ".", forged.rsplit(".", 1)[0]]
    for name in (None, 7, True, [c["algorithm"]], {c["algorithm"]: 1}, c["algorithm"].lower(), c["algorithm"] + " "):
        all.append(of({"alg": name}))
    without = base64url(b'{"typ":"JWT"}') + "." + body
    all.append(f"{without}.{base64url(sign(c['algorithm'], c['secret'], without.encode()))}")

    # Signed by what everybody knows, as if it were the secret: the public key in every form of it.
    known = [b"", b"\0" * 32, b"secret", c["algorithm"].encode()]
    if c.get("public"):
        public = c["public"].encode()
        key = serialization.load_pem_public_key(public)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        known += [public, public.strip(), public.replace(b"\n", b"\r\n"), key.public_bytes(serialization.Encoding.DER, form)]
    for key in known:
        for name, hash in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), (c["algorithm"], "sha256")):
            signed = base64url(json.dumps({"alg": name}).encode()) + "." + base64url(json.dumps(wanted).encode())
            all.append(f"{signed}.{base64url(hmac.new(key, signed.encode(), hash).digest())}")

    # Signed by a key that the token brings along, or says where to find.
    stranger = ec.generate_private_key(ec.SECP256R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = stranger.private_bytes(*form).decode()
    jwk = json.loads(ALGORITHMS["ES256"].to_jwk(stranger.public_key()))
    for more in ({}, {"jwk": jwk}, {"jku": "http://127.0.0.1:1/jwks"}, {"x5u": "http://127.0.0.1:1/"}, {"x5c": ["AAAA"]}):
        all += [of({"alg": "ES256"} | more, algorithm="ES256", key=pem), of({"alg": c["algorithm"]} | more, algorithm="ES256", key=pem)]
        all.append(token(c, claims, more))

    # By the name of a key that is a path, a statement, or not a name.
    for kid in ("1", "2", "_default", "", "../../../../dev/null", "/etc/passwd", "' OR '1'='1", "1\0", "a" * 5000, "ü", 1, None, [], {}, True):
        all.append(token(c, claims, {"kid": kid}))
        if c.get("other"):
            all.append(token(c, claims, {"kid": kid}, key=c["other"]))

    # Signatures that are none, or not quite.
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    others = [b"", b"\0", b"\0" * len(raw), b"\xff" * len(raw), raw[:-1], raw + b"\0", b"\0" + raw, raw[::-1], raw[:-1] + bytes([raw[-1] ^ 1])]
    others += [bytes([raw[0] ^ 0x80]) + raw[1:], b"\0" * (len(raw) // 2) + raw[len(raw) // 2 :], raw * 2]
    if c["algorithm"].startswith("ES"):
        half, order = len(raw) // 2, {"ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551}.get(c["algorithm"])
        r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        if order:
            # The other signature of the same message, which everybody can make: both verify.
            others += [raw[:half] + (order - s).to_bytes(half, "big"), order.to_bytes(half, "big") * 2, (1).to_bytes(half, "big") * 2]
        others.append(encode_dss_signature(r, s))
    if c["algorithm"][:2] in ("RS", "PS"):
        for algorithm in ("RS256", "RS384", "PS256", "PS384"):
            all.append(token(c, claims, algorithm=algorithm))
    all += [f"{head}.{body}.{base64url(one)}" for one in others]

    # Parts too few, too many, empty, or not base64url.
    all += [f"{head}.{body}", f"{head}.{body}.", f".{body}.{signature}", f"{head}..{signature}", f"{good}.", f".{good}"]
    all += [f"{good}.{signature}", f"{head}.{body}.{body}.{signature}.{signature}", f"{head}.{signature}.{body}", "...", "a.b.c"]
    for at in (0, 1, 2):
        parts = good.split(".")
        for change in ("=", "==", "===", "+", "/", "~", "\t", "%3D", "AA", "é", "-_"):
            all.append(".".join(one + change if index == at else one for index, one in enumerate(parts)))
        # Bits that stand for nothing, set; and the like of the last character.
        for last in "ABCDQgw_-":
            all.append(".".join(one[:-1] + last if index == at else one for index, one in enumerate(parts)))
    for change in ("~", "\xa0", "=", "+"):
        all.append(f"{head}.{body}.{signature[:8]}{change}{signature[8:]}")

    # Headers and claims that are no object, no JSON, no text.
    bodies = [b"", b" ", b"{", b"[]", b"[1]", b"null", b"true", b"7", b'"text"', b"{}", b"{}{}", b"{} x", b"{'sub':'alice'}", b"\0"]
    plain = b'"sub":"alice","scopes":["learnings:delete"]'
    bodies += [b"{%b}" % plain, b"\xef\xbb\xbf{%b}" % plain, b" \n{%b}\t" % plain, b"{%b,}" % plain, b"{%b}\0" % plain, b"/**/{%b}" % plain]
    bodies += [("{%s}" % plain.decode()).encode(form) for form in ("utf-16", "utf-16-le", "utf-32", "utf-16-be")]
    bodies += [b'{%b,"x":"\xff"}' % plain, b'{%b,"x":"\\ud800"}' % plain, b'{%b,"x":"\x01"}' % plain, b'{"sub":"\\ud800","scopes":["learnings:delete"]}']
    bodies += [b'{%b,"sub":"bob"}' % plain, b'{"sub":"bob",%b}' % plain, b'{%b,"scopes":["agent_os:admin","learnings:root"]}' % plain]
    bodies += [b'{%b,"exp":1,"exp":99999999999}' % plain, b'{%b,"exp":99999999999,"exp":1}' % plain, b'{%b,"su\\u0062":"bob"}' % plain]
    for depth in (10, 120, 126, 127, 128, 200, 900, 1100, 8000):
        bodies += [b'{%b,"x":%b%b}' % (plain, b"[" * depth, b"]" * depth), b'{%b,"x":%b1%b}' % (plain, b'{"a":' * depth, b"}" * depth)]
    numbers = [b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity", b"1e308", b"-1e308", b"1e-400", b"-0", b"-0.0", b"-1", b"1e30", b"01", b"+1", b".5", b"1.", b"0x10", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809", b"9007199254740993", b"1_000", b"99999999999.999999999999999999", b"1E11", b'"1e400"', b'"NaN"', b'"9999999999"', b'" 9999999999 "', b'"9_999_999_999"', b'""']
    bodies += [b'{%b,"%b":%b}' % (plain, name, number) for number in numbers for name in (b"exp", b"nbf", b"iat", b"x")]
    all += [of_bytes(c, body) for body in bodies]
    name = c["algorithm"].encode()
    headers = [b'{"alg":"%b","alg":"none"}', b'{"alg":"none","alg":"%b"}', b'{"alg":"%b","kid":"1","kid":"2"}', b'{"alg":"%b","x":1,"x":2}', b'[{"alg":"%b"}]', b'"%b"', b'{"alg":"%b"} ', b'\xef\xbb\xbf{"alg":"%b"}', b'{"alg":"%b","x":NaN}', b'{"alg":"%b","x":1e400}', b'{"alg":"%b","x":"\\ud800"}', b'{"ALG":"%b"}', b'{"alg":"%b","x":' + b"[" * 130 + b"]" * 130 + b"}", b'{"alg":"%b","zip":"DEF"}', b'{"alg":"%b","enc":"A128GCM"}', b'{"alg":"%b","cty":"JWT"}', b'{"alg":"%b","crit":["x"]}', b'{"alg":"%b","b64":0}', b'{"alg":"%b","b64":"false"}', b'{"alg":"%b","b64":null}']
    all += [of_bytes(c, json.dumps(claims).encode(), one % name) for one in headers]
    all += [of_bytes(c, json.dumps(claims).encode(), one) for one in (b"", b"{}", b"null", b"{", b"\xff", b'{"alg":')]

    # Meant for another, or from another: of account where the configuration says so.
    soon = int(time.time()) + 7200
    usual = claims | {"exp": soon}
    for aud in ("os-1", "os-2", "OS-1", "", ["os-1"], ["x", "os-1"], ["x"], [], [["os-1"]], [None], 7, None, {}, {"os-1": 1}, True):
        all.append(token(c, usual | {"aud": aud, "iss": "https://issuer.example"}))
    for iss in ("https://issuer.example", "https://issuer.example/", "HTTPS://ISSUER.EXAMPLE", "", ["https://issuer.example"], 7, None, {}):
        all.append(token(c, usual | {"aud": "os-1", "iss": iss}))
    all += [token(c, usual | {"aud": "os-1"}), token(c, usual | {"iss": "https://issuer.example"})]
    return [bearer(one) for one in all]


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "keys":
        sys.exit(__doc__)
    make_keys(Path(sys.argv[2]))
