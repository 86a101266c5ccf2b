"""RESP2 and RESP3 over a plain socket; replies keep their types, because types are compared."""
import socket


class Closed(Exception):
    """The server closed the connection."""


# Ports at which TLS is spoken, each with the context for it.
TLS_PORTS = {}


class Connection:
    """One connection to a sentinel or a data node on the loopback."""

    def __init__(self, port, timeout=5.0, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout)
        if port in TLS_PORTS:
            self.socket = TLS_PORTS[port].wrap_socket(self.socket)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def send(self, *words):
        self.raw(encode(words))

    def raw(self, data):
        self.socket.sendall(data)

    def call(self, *words):
        """Sends one command and returns its reply (see `read`)."""
        self.send(*words)
        return self.read()

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed
        self.buffer += data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read(self):
        """The next reply, as (type character, value)."""
        line = self._line()
        kind, rest = chr(line[0]), line[1:]
        if kind in "+-:_#,(":
            return (kind, rest.decode("utf-8", "backslashreplace"))
        size = int(rest)
        if size < 0:
            return (kind, None)
        if kind in "$=!":
            while len(self.buffer) < size + 2:
                self._fill()
            text, self.buffer = self.buffer[:size], self.buffer[size + 2:]
            return (kind, text.decode("utf-8", "backslashreplace"))
        if kind in "%|":
            size *= 2
        return (kind, [self.read() for _ in range(size)])


def encode(words):
    """The words of a command as an array of bulk strings."""
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


def plain(reply):
    """A reply without its types: lists, strings, None."""
    _, value = reply
    return [plain(item) for item in value] if isinstance(value, list) else value


def pairs(reply):
    """A map, or a flat array, as a dictionary."""
    flat = plain(reply)
    return dict(zip(flat[::2], flat[1::2]))
