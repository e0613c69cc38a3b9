import java.util.stream.IntStream;

/** Computes on all processors; prints one number. */
public class Parallel {
    public static void main(String[] arguments) {
        System.out.println(IntStream.range(0, 1_000_000).parallel().mapToLong(Parallel::work).sum());
    }

    private static long work(int number) {
        long state = number;
        for (int i = 0; i < 2000; i++) state = state * 6364136223846793005L + 1442695040888963407L;
        return state & 0xff;
    }
}
