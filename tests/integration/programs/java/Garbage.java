import java.lang.ref.SoftReference;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Makes more garbage than the heap holds, from several threads, and then fills the heap on purpose. */
public class Garbage {
    static final class Node {
        final Node left;
        final Node right;

        Node(int depth) {
            left = depth == 0 ? null : new Node(depth - 1);
            right = depth == 0 ? null : new Node(depth - 1);
        }

        int count() {
            return 1 + (left == null ? 0 : left.count() + right.count());
        }
    }

    static void churn(int number) {
        Map<Integer, byte[]> kept = new LinkedHashMap<>();
        long nodes = 0;
        for (int i = 0; i < 400; i++) {
            nodes += new Node(11).count();
            kept.put(i % 50, new byte[20_000]);
        }
        synchronized (Garbage.class) {
            total += nodes + kept.size() + number;
        }
    }

    static long total;

    public static void main(String[] args) throws Exception {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            int number = i;
            threads.add(new Thread(() -> churn(number)));
        }
        for (Thread thread : threads) {
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("total " + total);
        SoftReference<byte[]> soft = new SoftReference<>(new byte[1_000_000]);
        List<byte[]> all = new ArrayList<>();
        try {
            while (true) {
                all.add(new byte[1_000_000]);
            }
        } catch (OutOfMemoryError error) {
            all = null;
            System.out.println("out of memory, soft reference " + (soft.get() == null ? "cleared" : "kept"));
        }
        System.gc();
        System.out.println("alive " + new Node(14).count() + " " + (Runtime.getRuntime().maxMemory() >> 20));
    }
}
