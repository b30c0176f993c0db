"""Servers that misbehave, byte for byte, and the certificates that they show."""

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

OK_BODY = b'{"num_records_imported":1}'


class RawServer:
    """
    A server that says what it is told, byte for byte.

    Each request meets the next act, the last one for ever. An act gets the connection, and keeps it
    open by returning True.
    """

    def __init__(self, *acts, tls=None, reads=True):
        self.acts = list(acts)
        self.requests = []
        self.connections = self.closed = 0
        self._tls = tls
        self._reads = reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self):
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def pause(self, seconds):
        """Sleep until *seconds* are over or the test is; say which."""
        return not self._is_over.wait(seconds)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection):
        # Whatever the client does to the connection is its affair.
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                while not self._reads or self._read(connection):
                    act = self.acts[0] if len(self.acts) == 1 else self.acts.pop(0)
                    if not act(connection):
                        return
        except OSError:
            pass
        finally:
            connection.close()
            self.closed += 1

    def _read(self, connection):
        received = b""
        while b"\r\n\r\n" not in received:
            more = connection.recv(65_536)
            if not more:
                return False
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65_536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return True

    def close(self):
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for connection in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def serve():
    servers = []

    def serve(*acts, **options):
        servers.append(RawServer(*acts, **options))
        servers[-1]._threads[0].start()
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def says(text, *, then=True):
    """Answer with *text*, and keep the connection if *then*."""

    def act(connection):
        connection.sendall(text)
        return then

    return act


def response(status=200, body=OK_BODY, **headers):
    lines = [f"{name.replace('_', '-')}: {value}\r\n".encode() for name, value in headers.items()]
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"".join(lines) + b"\r\n" + body


ok = says(response())


def resets(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says_and_resets(text):
    def act(connection):
        connection.sendall(text)
        time.sleep(0.05)  # an RST overtakes what is not read yet
        resets(connection)

    return act


def drips(text, whole, server):
    """Send *text*, then *whole* byte after byte, five a second."""

    def act(connection):
        connection.sendall(text)
        for byte in whole:
            connection.sendall(bytes([byte]))
            if not server[0].pause(0.2):
                return

    return act


OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Make self-signed certificates: for 127.0.0.1, for another host, and one that expired."""
    if OPENSSL is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "index.txt").touch()
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=it\n[it]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\nunique_subject=no\ncopy_extensions=copy\n"
        "[any]\ncommonName=supplied\n"
    )

    def make(name, host, start, end):
        run = [OPENSSL, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]
        run += ["-out", f"{name}.csr", "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
        sign = [OPENSSL, "ca", "-batch", "-selfsign", "-config", "ca.conf", "-in", f"{name}.csr"]
        sign += ["-keyfile", f"{name}.key", "-startdate", start, "-enddate", end, "-notext"]
        for command in (run, [*sign, "-out", f"{name}.pem"]):
            subprocess.run(command, cwd=folder, check=True, capture_output=True)

    make("good", "IP:127.0.0.1", "20200101000000Z", "20491231000000Z")
    make("other", "DNS:api.example", "20200101000000Z", "20491231000000Z")
    make("expired", "IP:127.0.0.1", "20200101000000Z", "20200102000000Z")
    return folder


@pytest.fixture
def tls(serve, certificates):
    """Start a server with one of the certificates."""

    def tls(name, *acts):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        return serve(*acts, tls=context)

    return tls
