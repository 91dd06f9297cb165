"""Sends deletions of absent records without a pause, and counts the answers other than 404 and the requests without one.

    load.py SECONDS TOKEN
"""

import http.client
import sys
import threading
import time

seconds, token = float(sys.argv[1]), sys.argv[2]
end = time.monotonic() + seconds
lock = threading.Lock()
sent, failures, slowest = 0, [], 0.0


def send(client):
    global sent, slowest
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=30)
    number = 0
    while time.monotonic() < end:
        number += 1
        start, failure = time.monotonic(), None
        try:
            connection.request("DELETE", f"/learnings/absent-{client}-{number}", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            response.read()
            if response.status != 404:
                failure = str(response.status)
        except (OSError, http.client.HTTPException) as error:
            failure = repr(error)
            connection.close()
        with lock:
            sent += 1
            slowest = max(slowest, time.monotonic() - start)
            failures.extend([failure] if failure else [])


threads = [threading.Thread(target=send, args=(client,)) for client in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sent} requests, {len(failures)} failed, the slowest took {slowest:.1f} s", *failures[:5])
sys.exit(1 if failures else 0)
