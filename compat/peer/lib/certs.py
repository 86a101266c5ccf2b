"""Certificates by Redis' own recipe (its documentation of TLS): a CA, and version 1 certificates that it signs."""
import os
import ssl
import subprocess


class Recipe:
    """A folder with `ca.crt`, and `<name>.crt` with `<name>.key` for each name made."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder)
        self._openssl("genrsa -out ca.key 2048")
        self._openssl("req -x509 -new -nodes -sha256 -key ca.key -days 3650 -out ca.crt -subj", "/O=Redis Test/CN=Certificate Authority")
        self.make("redis")
        os.chmod(folder, 0o755)

    def _openssl(self, words, *more):
        subprocess.run(["openssl", *words.split(), *more], cwd=self.folder, capture_output=True, check=True)

    def make(self, name, password=None):
        """A certificate and its key, which a password encrypts."""
        self._openssl(f"genrsa -out {name}.key 2048")
        self._openssl(f"req -new -sha256 -key {name}.key -out {name}.csr -subj", f"/O=Redis Test/CN={name}")
        self._openssl(f"x509 -req -sha256 -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out {name}.crt")
        if password:
            self._openssl(f"rsa -aes256 -passout pass:{password} -in {name}.key -out {name}.locked")
            os.replace(self.path(f"{name}.locked"), self.path(f"{name}.key"))
        for key in (name, "ca"):
            os.chmod(self.path(f"{key}.key"), 0o644)

    def path(self, name):
        return os.path.join(self.folder, name)

    def lines(self):
        """Directives of a program that uses them on both sides."""
        return [
            f"tls-cert-file {self.path('redis.crt')}", f"tls-key-file {self.path('redis.key')}",
            f"tls-ca-cert-file {self.path('ca.crt')}", "tls-replication yes",
        ]

    def context(self):
        """For connections of the test itself."""
        context = ssl.create_default_context(cafile=self.path("ca.crt"))
        context.check_hostname = False
        context.load_cert_chain(self.path("redis.crt"), self.path("redis.key"))
        return context
