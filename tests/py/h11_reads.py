"""What h11 reads from the connections in a file: argument 1. Each is four bytes of length and then its bytes, after which
the client closes its side. A line of JSON for each: the requests that came whole (method, target, length and sum of the
body), and why there was no further one, or null."""

import json
import sys

import h11


def read(sent):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=32 * 1024)
    connection.receive_data(sent)
    connection.receive_data(b"")
    requests, head, body = [], None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                target = head.target.decode("latin-1")
                requests.append([head.method.decode(), target, len(body), sum(body)])
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.states[h11.CLIENT] is not h11.DONE:
                    return requests, None
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed) or event in (h11.NEED_DATA, h11.PAUSED):
                return requests, None
    except h11.RemoteProtocolError as error:
        return requests, str(error)


with open(sys.argv[1], "rb") as file:
    while length := file.read(4):
        print(json.dumps(read(file.read(int.from_bytes(length)))))
