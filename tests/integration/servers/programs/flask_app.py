"""A Flask application: echo, a stream, something that takes its time; under Flask's own server or gunicorn's."""

import hashlib
import sys
import threading
import time

from flask import Flask, Response, request

app = Flask(__name__)
together = threading.Barrier(4)


@app.get("/")
def index():
    return "It works\n"


@app.post("/digest")
def digest():
    data = request.get_data()
    return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest(), "chunked": request.content_length is None}


@app.get("/together")
def meet():
    """Answers when four requests are served at the same time."""
    together.wait(20)
    return "met\n"


@app.get("/stream")
def stream():
    def lines():
        for number in range(20):
            time.sleep(0.005)
            yield f"line {number}\n"

    return Response(lines(), mimetype="text/plain")


@app.get("/error")
def error():
    return "teapot\n", 418


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(sys.argv[1]), threaded=True)
