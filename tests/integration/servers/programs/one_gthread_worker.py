"""Runs gunicorn's gthread worker in this process. Its arbiter, which would, forks every worker."""

import os
import sys

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.sock import create_sockets

if __name__ == "__main__":
    sys.argv = ["gunicorn", *sys.argv[1:]]
    application = WSGIApplication()
    arbiter = Arbiter(application)
    arbiter.pid = os.getpid()
    listeners = create_sockets(application.cfg, arbiter.log)
    timeout = application.cfg.timeout / 2
    worker = application.cfg.worker_class(
        1, os.getppid(), listeners, application, timeout, application.cfg, arbiter.log
    )
    worker.init_process()
