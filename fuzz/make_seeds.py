#!/usr/bin/env python3
"""Makes fuzz/pki/bundle.pem and the seeds that text editors can't: certificates, CheckRequests, DecideRequests.

Run it by hand (it needs openssl) and commit the result: what is committed is what `make fuzz` starts from.
"""
import hashlib
import pathlib
import ssl
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
LEAF = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\nbasicConstraints=critical,CA:FALSE\n"
LEAVES = {
    "good": LEAF + "subjectAltName=URI:spiffe://td/web\n",
    "two-uris": LEAF + "subjectAltName=URI:spiffe://td/web,URI:spiffe://td/api\n",
    "no-san": LEAF,
    "dns-too": LEAF + "subjectAltName=URI:spiffe://td/ns/a/sa/b,DNS:web.td,IP:10.0.0.1\n",
    "other-domain": LEAF + "subjectAltName=URI:spiffe://elsewhere/web\n",
    "is-ca": "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,digitalSignature\nsubjectAltName=URI:spiffe://td/web\n",
    "constraints": LEAF + "subjectAltName=URI:spiffe://td/web\ncertificatePolicies=1.2.3.4\nnsComment=hello\n",
}


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], check=True, cwd=cwd, capture_output=True)


def make_certificates(work):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "subjectAltName=URI:spiffe://td"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "36500", "-subj", "/O=fuzz", *extensions, cwd=work)
    pems = {}
    for name, text in LEAVES.items():
        (work / "ext").write_text(text)
        openssl("req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f'/C=US/O=a, "b"/CN={name}', cwd=work)
        openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "36500", "-extfile", "ext",
                "-out", "leaf.pem", cwd=work)
        pems[name] = (work / "leaf.pem").read_text()
    return (work / "ca.pem").read_text(), pems


def encoded(pem):
    for plain, escape in [("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")]:
        pem = pem.replace(plain, escape)
    return pem


def xfcc(pem, ca):
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    return f'By=spiffe://td/proxy;Hash={digest};Cert="{encoded(pem)}";Chain="{encoded(pem + ca)}";Subject="CN=web";URI=spiffe://td/web'


def chains(pems):
    """Headers of several elements; the forwarder of the fuzz targets is td/web."""
    def element(by, name):
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pems[name])).hexdigest()
        return f'By=spiffe://td/{by};Hash={digest};Cert="{encoded(pems[name])}"'

    ours, web = element("proxy", "good"), "web"
    return {
        "direct": [ours],
        "two": [element(web, "dns-too"), ours],
        "three": [element(web, "dns-too"), element(web, "good"), ours],
        "no-forwarder": [element("ns/a/sa/b", "good"), element("proxy", "dns-too")],
        "wrong-writer": [element("ns/a/sa/b", "dns-too"), ours],
        "unproven": [element(web, "other-domain"), ours],
    }


def varint(number):
    more = number >> 7
    return bytes([number & 0x7F | 0x80]) + varint(more) if more else bytes([number])


def field(number, *values):
    """Protobuf: each value as a field of this number; text, bytes and messages alike, numbers as varints."""
    out = b""
    for value in values:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def check_request(certificate, lines, raw):
    peer = field(1, field(1, field(2, "10.0.0.7") + field(3, 4711))) + field(4, "spiffe://td/web") + field(5, certificate)
    if raw:
        headers = field(13, b"".join(field(1, field(1, name) + field(3, value)) for name, value in lines))
    else:
        headers = b"".join(field(3, field(1, name) + field(2, value)) for name, value in lines)
    http = field(1, "1") + field(2, "GET") + headers + field(4, "/orders/1?x=y") + field(5, "shop") + field(6, "https") + field(10, "HTTP/2")
    return field(1, field(1, peer) + field(4, field(2, http)) + field(12, field(1, "shop.td")))


def decide_request(certificate, lines):
    pseudo = [(":method", "GET"), (":path", "/orders/1?x=y"), (":authority", "shop"), (":scheme", "https")]
    headers = b"".join(field(2, field(1, name) + field(2, value)) for name, value in pseudo + lines)
    return field(1, certificate) + headers + field(3, "10.0.0.7:4711") + field(4, "shop.td") + field(5, "HTTP/2") + field(6, b"0123456789abcdef")


def step(kind, content=b""):
    return kind.encode() + len(content).to_bytes(2, "big") + content


def decide_response(verdict, reason, seq):
    caller = field(1, "spiffe://td/web") + field(2, bytes([1] * 32)) + field(3, "CN=root") + field(4, "1f") + field(6, 2**62)
    decision = field(1, bytes([3] * 16)) + field(2, verdict) + field(3, reason) + field(4, "p") + field(5, 2**62)
    return field(1, decision) + field(2, caller) + field(3, seq) + field(4, bytes([7] * 32)) + field(5, 1)


def update(seq, scope=None):
    plan = field(1, field(1, bytes([7] * 32)) + field(2, "path", "header:x-tenant", "source-ip"))
    revoked = field(3, field(1, seq) + field(2, scope) + field(3, 1) + field(4, 2**64 - 1) + field(5, 2**64 - 1)) if scope else b""
    return plan + (revoked or field(2, 1)) + field(4, seq) + field(5, field(1, 1) + field(2, 60_000)) + field(6, 1)


def scene():
    """Connects, hears plan and lease, is answered, answers from memory, and hears of a revocation."""
    opening = step("t") + step("u", update(5))
    asked = step("r", b"/a") + step("a", decide_response(1, "permit", 5)) + step("r", b"/a") + step("t", bytes(70))
    revoked = step("u", update(6, "spiffe-id:spiffe://td/web")) + step("r", b"/a") + step("a", decide_response(2, "revoked", 6))
    return opening + asked + revoked + step("r", b"/a") + step("l") + step("t", bytes(70))


def spiffe_bundle(keys, sequence):
    return '{"keys":[' + ",".join(keys) + f'],"spiffe_sequence":{sequence},"spiffe_refresh_hint":60}}'


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def main():
    with tempfile.TemporaryDirectory() as folder:
        ca, pems = make_certificates(pathlib.Path(folder))
    (HERE / "pki").mkdir(exist_ok=True)
    (HERE / "pki" / "bundle.pem").write_text(ca)
    for name, pem in pems.items():
        write("certificate", f"{name}.der", ssl.PEM_cert_to_DER_cert(pem))
    good = pems["good"]
    write("certificate", "presented", f"{good}\n\n{xfcc(good, ca)}")
    write("certificate", "bundle", ca + good)
    write("certificate", "jwks", '{"keys":[{"use":"x509-svid","kty":"EC","crv":"P-256","x":"AA","y":"AA","x5c":["'
          + "".join(ca.splitlines()[1:-1]) + '"]}],"spiffe_sequence":1,"spiffe_refresh_hint":60}')
    key = '{"use":"x509-svid","kty":"EC","crv":"P-256","x":"a","y":"b","x5c":["' + "".join(ca.splitlines()[1:-1]) + '"]}'
    jwt = '{"use":"jwt-svid","kid":"k","kty":"RSA","n":"x","e":"AQAB"}'
    write("bundle", "rotation", "\0".join([spiffe_bundle([key], 1), spiffe_bundle([key, key], 2), spiffe_bundle([], 3)]))
    write("bundle", "rollback", "\0".join([spiffe_bundle([key], 2), '{"keys":[]}', spiffe_bundle([key], 1)]))
    write("bundle", "pem", spiffe_bundle([], 1) + "\0" + ca)
    write("bundle", "jwt", spiffe_bundle([jwt, key], 2**64 - 1))
    write("bundle", "url", "https://bundles.partner.test:8443/bundle?x=1")
    for name, elements in chains(pems).items():
        write("chain", name, ",".join(elements))
    lines = [("x-forwarded-client-cert", xfcc(good, ca)), ("x-tenant", "a"), ("user-agent", "x/1"), ("x-request-id", "r")]
    write("check_request", "raw", check_request(encoded(good), lines, True))
    write("check_request", "map", check_request(encoded(good), lines[1:], False))
    write("check_request", "twice", check_request(encoded(good), lines + lines[1:2], True))
    write("check_request", "no-certificate", check_request("", [], True))
    write("link", "decide", step("d", decide_request(good, lines)))
    write("link", "decide-bare", step("d", decide_request("", [])))
    write("link", "scene", scene())
    write("link", "overtaken", step("t") + step("r", b"/a") + step("u", update(9)) + step("a", decide_response(1, "permit", 5)))
    write("link", "config", step("c", b'{"cluster":"x","max_decisions":5,"log_hits":true,"nope":1}'))


main()
