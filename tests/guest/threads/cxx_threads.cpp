// C++: threads, exceptions across them, futures, condition variables, thread_local destructors, atomics.
#include <atomic>
#include <condition_variable>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> destroyed{0};

struct Counted {
    ~Counted() { ++destroyed; }
    int value = 0;
};

static thread_local Counted counted;

static int parse(const std::string &text) {
    Counted local;
    return std::stoi(text);
}

static void exceptions() {
    std::vector<std::thread> threads;
    std::atomic<int> caught{0};
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([i, &caught] {
            counted.value = i;
            for (int round = 0; round < 200; ++round) {
                try {
                    parse(round % 2 ? "not a number" : "12");
                } catch (const std::invalid_argument &) {
                    ++caught;
                }
            }
        });
    }
    for (auto &thread : threads) thread.join();
    std::cout << caught << " caught, " << destroyed << " destroyed\n";
}

static void futures() {
    auto sum = std::async(std::launch::async, [] {
        std::vector<int> values(100000);
        std::iota(values.begin(), values.end(), 1);
        return std::accumulate(values.begin(), values.end(), 0L);
    });
    auto thrown = std::async(std::launch::async, []() -> int { throw std::runtime_error("from the thread"); });
    std::cout << sum.get() << '\n';
    try {
        thrown.get();
    } catch (const std::runtime_error &error) {
        std::cout << "rethrown: " << error.what() << '\n';
    }
}

static void producer_and_consumer() {
    std::queue<int> queue;
    std::mutex mutex;
    std::condition_variable ready;
    bool finished = false;
    long total = 0;
    std::thread consumer([&] {
        std::unique_lock lock(mutex);
        while (true) {
            ready.wait(lock, [&] { return !queue.empty() || finished; });
            if (queue.empty()) return;
            total += queue.front();
            queue.pop();
        }
    });
    for (int i = 1; i <= 10000; ++i) {
        std::lock_guard lock(mutex);
        queue.push(i);
        ready.notify_one();
    }
    {
        std::lock_guard lock(mutex);
        finished = true;
    }
    ready.notify_all();
    consumer.join();
    std::cout << "consumed " << total << '\n';
}

int main() {
    exceptions();
    futures();
    producer_and_consumer();
    std::cout << "ok" << std::endl;
}
