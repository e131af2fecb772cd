"""Runs the scripts beside it, each in a process of its own that has the SDKs imported already; importing them takes a second.

`serve.py SOCKET` listens there until its standard input ends. A connection is one run: a line of JSON with `arguments` (the
script first) and `variables`, then what the script prints, and at last a line `exit CODE`.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback

import agents  # noqa: F401
import anthropic  # noqa: F401
import google.genai  # noqa: F401
import openai  # noqa: F401

LIMIT_SECONDS = 300


def run(connection):
    task = json.loads(connection.makefile().readline())
    os.dup2(connection.fileno(), 1)
    os.dup2(connection.fileno(), 2)
    sys.argv = task["arguments"]
    os.environ.update(task["variables"])
    # A script that has not ended by then hangs: this kills it, and the last line does not come.
    signal.alarm(LIMIT_SECONDS)
    code = 1
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except BaseException:
        traceback.print_exc()
    print(f"exit {code}", flush=True)
    os._exit(code)


listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
# Nobody waits for the children.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
    connection, _ = listener.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        run(connection)
    connection.close()
os.remove(sys.argv[1])
