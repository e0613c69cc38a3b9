import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;

/** What all three servers do: as flask_app.py. */
final class Application {
    static final int LINES = 20;
    private static final CyclicBarrier TOGETHER = new CyclicBarrier(4);

    private Application() {}

    static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Answers when four requests are served at the same time. */
    static byte[] meet() {
        try {
            TOGETHER.await(20, TimeUnit.SECONDS);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
        return text("met\n");
    }

    static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static byte[] digested(long length, MessageDigest digest, boolean chunked) {
        StringBuilder hex = new StringBuilder();
        for (byte b : digest.digest()) {
            hex.append(String.format("%02x", b));
        }
        return text(String.format("{\"length\": %d, \"sha256\": \"%s\", \"chunked\": %s}", length, hex, chunked));
    }

    static byte[] line(int number) {
        return text("line " + number + "\n");
    }
}
