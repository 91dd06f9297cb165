"""A collector of traces: receives spans with OTLP over HTTP, and writes each as a line of JSON.

    collector.py PORT FILE
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def fields(message):
    """The fields of a message of Protocol Buffers: pairs of a number and a value, which is an integer or bytes."""
    at = 0

    def integer():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = integer()
        if key & 7 == 0:
            yield key >> 3, integer()
            continue
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            length = integer()
        yield key >> 3, message[at : at + length]
        at += length


def each(message, *path):
    """The values at the end of a path of field numbers."""
    for number, value in fields(message):
        if number == path[0]:
            yield from each(value, *path[1:]) if path[1:] else [value]


def spans(request):
    # ExportTraceServiceRequest.resource_spans.scope_spans.spans
    for span in each(request, 1, 2, 2):
        text = {number: value for number, value in fields(span) if number in (1, 2, 4, 5)}
        attributes = {}
        for attribute in each(span, 9):
            name = b"".join(each(attribute, 1)).decode()
            attributes[name] = [value.decode() if isinstance(value, bytes) else value for _, value in fields(b"".join(each(attribute, 2)))][0]
        ids = {"trace": text[1].hex(), "span": text[2].hex(), "parent": text.get(4, b"").hex()}
        yield {**ids, "name": text[5].decode(), "attributes": attributes}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces", self.path
        with open(sys.argv[2], "a") as file:
            file.writelines(json.dumps(span) + "\n" for span in spans(body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
