"""Sends deletions of absent records without a pause as long as a file exists. Counts the answers other than 404
and the requests without one.

    load.py FILE TOKEN
"""

import http.client
import os
import sys
import threading
import time

running_file, token = sys.argv[1:]
lock = threading.Lock()
sent, failures, slowest = 0, [], 0.0


def send(client):
    global sent, slowest
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=30)
    number = 0
    while os.path.exists(running_file):
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
