import java.util.Arrays;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RecursiveTask;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;

/** Fork/Join, parallel streams, pools, parked and timed threads; what it prints does not depend on who ran when. */
public class Parallel {
    static class Sum extends RecursiveTask<Long> {
        final int from;
        final int to;

        Sum(int from, int to) {
            this.from = from;
            this.to = to;
        }

        @Override
        protected Long compute() {
            if (to - from < 1000) {
                return LongStream.range(from, to).map(n -> n * n % 7).sum();
            }
            int middle = (from + to) / 2;
            Sum left = new Sum(from, middle);
            left.fork();
            return new Sum(middle, to).compute() + left.join();
        }
    }

    static void forkJoin() {
        ForkJoinPool pool = new ForkJoinPool(4);
        System.out.println("fork/join " + pool.invoke(new Sum(0, 2_000_000)));
        pool.shutdown();
        System.out.println("stream " + LongStream.range(0, 1_000_000).parallel().filter(n -> n % 3 == 0).count());
        int[] numbers = new java.util.Random(7).ints(300_000).toArray();
        Arrays.parallelSort(numbers);
        System.out.println("sorted " + numbers[0] + " " + numbers[numbers.length - 1]);
    }

    static void pools() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(16);
        ConcurrentHashMap<Integer, Integer> counts = new ConcurrentHashMap<>();
        for (int i = 0; i < 10_000; i++) {
            int key = i % 100;
            pool.submit(() -> counts.merge(key, 1, Integer::sum));
        }
        pool.shutdown();
        System.out.println("ended " + pool.awaitTermination(60, TimeUnit.SECONDS) + " " + counts.values().stream().mapToInt(n -> n).sum());
        ScheduledExecutorService later = Executors.newScheduledThreadPool(2);
        CountDownLatch ticks = new CountDownLatch(5);
        later.scheduleAtFixedRate(ticks::countDown, 1, 5, TimeUnit.MILLISECONDS);
        System.out.println("ticked " + ticks.await(60, TimeUnit.SECONDS));
        later.shutdownNow();
    }

    static void threads() throws Exception {
        Thread[] parked = new Thread[200];
        CountDownLatch running = new CountDownLatch(parked.length);
        for (int i = 0; i < parked.length; i++) {
            parked[i] = new Thread(() -> {
                running.countDown();
                while (!Thread.interrupted()) {
                    LockSupport.park();
                }
            });
            parked[i].start();
        }
        running.await();
        for (Thread thread : parked) {
            thread.interrupt();
        }
        for (Thread thread : parked) {
            thread.join();
        }
        System.out.println("parked " + parked.length);
    }

    static int depth(int n) {
        return 1 + depth(n + 1);
    }

    /** Each is a signal that the machine turns into an exception. */
    static void faults() {
        try {
            depth(0);
        } catch (StackOverflowError error) {
            System.out.println("stack overflow");
        }
        int caught = 0;
        for (int i = 0; i < 20_000; i++) {
            try {
                String text = i % 2 == 0 ? null : "text";
                caught += text.length() > 100 ? 1 : 0;
            } catch (NullPointerException error) {
                caught++;
            }
        }
        System.out.println("null " + caught);
        try {
            System.out.println(1 / (caught - 10_000));
        } catch (ArithmeticException error) {
            System.out.println(error.getMessage());
        }
    }

    public static void main(String[] args) throws Exception {
        forkJoin();
        pools();
        threads();
        faults();
        System.exit(5);
    }
}
