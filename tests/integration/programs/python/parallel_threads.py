"""Threads that hand work to each other, and threads that compute without the interpreter's lock."""

import hashlib
import queue
import threading
import zlib

ITEMS = 200
work: queue.Queue[int | None] = queue.Queue(10)
sums: list[int] = []


def produce() -> None:
    for i in range(ITEMS):
        work.put(i)


def consume() -> None:
    total = 0
    while (item := work.get()) is not None:
        total += item
    sums.append(total)


def run(targets, *arguments) -> None:
    threads = [threading.Thread(target=target, args=arguments) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


consumers = [threading.Thread(target=consume) for _ in range(3)]
for consumer in consumers:
    consumer.start()
run([produce] * 4)
for _ in consumers:
    work.put(None)
for consumer in consumers:
    consumer.join()
print("handed over", sum(sums), work.empty())

digests = set()
data = bytes(range(256)) * 4000


def digest(rounds: int) -> None:
    for _ in range(rounds):
        digests.add(hashlib.sha256(zlib.compress(data, 1)).hexdigest())


run([digest] * 4, 5)
print("computed", len(digests))

barrier = threading.Barrier(4)
steps = [0] * 4
together = []


def walk(number: int) -> None:
    for _ in range(50):
        steps[number] += 1
        barrier.wait()
        together.append(len(set(steps)) == 1)
        barrier.wait()


walkers = [threading.Thread(target=walk, args=(number,)) for number in range(4)]
for walker in walkers:
    walker.start()
for walker in walkers:
    walker.join()
print("in step", all(together), len(together))
