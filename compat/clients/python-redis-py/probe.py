"""redis-py's Sentinel as an application uses it: find the master, keep writing.

Arguments: addresses of sentinels (ip:port). Prints `master <ip:port>` when the master is another
one than before, and `ok` for each acknowledged write, until it is ended.
"""

import sys
import time

from redis.exceptions import RedisError
from redis.sentinel import Sentinel

NAME = "mymaster"


def main() -> None:
    addresses = [(host, int(port)) for host, port in (word.rsplit(":", 1) for word in sys.argv[1:])]
    sentinel = Sentinel(addresses, socket_timeout=1.0)
    master = sentinel.master_for(NAME, socket_timeout=1.0)
    known = None
    while True:
        try:
            master.incr("probe")
            connection = master.connection_pool.master_address
            if connection != known:
                known = connection
                print(f"master {known[0]}:{known[1]}", flush=True)
            print("ok", flush=True)
        except RedisError as error:
            print(f"error {error}", file=sys.stderr, flush=True)
        time.sleep(0.05)


main()
