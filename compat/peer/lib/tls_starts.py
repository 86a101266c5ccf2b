"""Starts with TLS directives that are wrong: what it is called, and the file ({certs} is a folder by Redis' recipe)."""
ID = "sentinel myid 1111111111111111111111111111111111111111\n"
BASE = "port 0\ntls-port {port}\n" + ID
CERT, KEY, CA = "tls-cert-file {certs}/redis.crt\n", "tls-key-file {certs}/redis.key\n", "tls-ca-cert-file {certs}/ca.crt\n"
GOOD = BASE + CERT + KEY + CA

STARTS = [
    ("nothing", BASE),
    ("no key", BASE + CERT),
    ("no CA", BASE + CERT + KEY),
    ("no CA, clients are not asked, links are TLS", BASE + CERT + KEY + "tls-auth-clients no\ntls-replication yes\n"),
    ("no certificate for links", "port {port}\ntls-replication yes\n" + CA),
    ("only a pair for links", "port {port}\ntls-replication yes\ntls-client-cert-file {certs}/redis.crt\ntls-client-key-file {certs}/redis.key\n" + CA),
    ("cluster", "port {port}\ntls-cluster yes\n"),
    ("missing certificate", BASE + "tls-cert-file {certs}/none\n" + KEY + CA),
    ("missing key", BASE + CERT + "tls-key-file {certs}/none\n" + CA),
    ("missing CA", BASE + CERT + KEY + "tls-ca-cert-file {certs}/none\n"),
    ("garbage as certificate", BASE + "tls-cert-file {certs}/garbage\n" + KEY + CA),
    ("garbage as key", BASE + CERT + "tls-key-file {certs}/garbage\n" + CA),
    ("garbage as CA", BASE + CERT + KEY + "tls-ca-cert-file {certs}/garbage\n"),
    ("a folder as certificate", BASE + "tls-cert-file {certs}\n" + KEY + CA),
    ("a folder as key", BASE + CERT + "tls-key-file {certs}\n" + CA),
    ("a folder as CA file", BASE + CERT + KEY + "tls-ca-cert-file {certs}\n"),
    ("key of another certificate", BASE + CERT + "tls-key-file {certs}/other.key\n" + CA),
    ("encrypted key", BASE + "tls-cert-file {certs}/locked.crt\ntls-key-file {certs}/locked.key\n" + CA),
    ("wrong passphrase", BASE + "tls-cert-file {certs}/locked.crt\ntls-key-file {certs}/locked.key\ntls-key-file-pass x\n" + CA),
    ("bad protocol", GOOD + "tls-protocols \"TLSv1.2 TLSv9\"\n"),
    ("bad ciphers", GOOD + "tls-ciphers NOSUCH\n"),
    ("bad ciphersuites", GOOD + "tls-ciphersuites NOSUCH\n"),
    ("missing DH parameters", GOOD + "tls-dh-params-file {certs}/none\n"),
    ("garbage as DH parameters", GOOD + "tls-dh-params-file {certs}/garbage\n"),
    ("missing certificate for links", GOOD + "tls-client-cert-file {certs}/none\ntls-client-key-file {certs}/redis.key\n"),
    ("key of another certificate for links", GOOD + "tls-client-cert-file {certs}/redis.crt\ntls-client-key-file {certs}/other.key\n"),
    ("wrong passphrase for links", GOOD + "tls-client-cert-file {certs}/locked.crt\ntls-client-key-file {certs}/locked.key\ntls-client-key-file-pass x\n"),
    ("everything is wrong", BASE + "tls-protocols X\ntls-cert-file {certs}/none\ntls-key-file {certs}/none\ntls-ca-cert-file {certs}/none\ntls-ciphers X\n"),
    ("from the files on", BASE + "tls-cert-file {certs}/redis.crt\ntls-key-file {certs}/none\ntls-ca-cert-file {certs}/none\ntls-ciphers X\n"),
    ("ciphers and parameters", GOOD + "tls-ciphersuites X\ntls-ciphers X\ntls-dh-params-file {certs}/none\n"),
    ("parameters and links", GOOD + "tls-dh-params-file {certs}/none\ntls-client-cert-file /nosuch\ntls-client-key-file /nosuch\n"),
    ("port in use", GOOD.replace("{port}", "{taken}") + "bind 127.0.0.1\n"),
    ("bad yes or no", GOOD + "tls-auth-clients perhaps\n"),
    ("bad number", GOOD + "tls-session-cache-size -1\n"),
]


def prepare(recipe):
    """The files beside the good ones."""
    recipe.make("other")
    recipe.make("locked", password="secret")
    with open(recipe.path("garbage"), "w", encoding="utf-8") as garbage:
        garbage.write("garbage\n")
