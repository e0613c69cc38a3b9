"""threading, queue, concurrent.futures, signal, select."""

import concurrent.futures
import os
import queue
import select
import signal
import threading
import time

total = 0
lock = threading.Lock()


def add(count: int) -> None:
    global total
    for _ in range(count):
        with lock:
            total += 1


threads = [threading.Thread(target=add, args=(5000,)) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total)

tasks: queue.Queue = queue.Queue(10)
results: list = []


def consume() -> None:
    while (item := tasks.get()) is not None:
        results.append(item * item)


consumer = threading.Thread(target=consume)
consumer.start()
for i in range(1000):
    tasks.put(i)
tasks.put(None)
consumer.join()
print(sum(results))

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: sum(range(n)), range(300))))


hits: list = []
signal.signal(signal.SIGALRM, lambda number, frame: hits.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.02)
time.sleep(0.2)
os.kill(os.getpid(), signal.SIGALRM)
print(hits == [signal.SIGALRM] * 2)
r, w = os.pipe()
print(select.select([r], [w], [], 0)[1] == [w], select.select([r], [], [], 0.02))
os.write(w, b"x")
print(select.select([r], [], [], 5)[0] == [r])
