import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.concurrent.Executors;

/** The JDK's own server (module jdk.httpserver), which jwebserver of later JDKs is made of. */
public class PlainServer {
    public static void main(String[] args) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(args[0])), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", PlainServer::answer);
        server.start();
    }

    private static void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            switch (exchange.getRequestURI().getPath()) {
                case "/" -> send(exchange, 200, Application.text("It works\n"));
                case "/error" -> send(exchange, 418, Application.text("teapot\n"));
                case "/together" -> send(exchange, 200, Application.meet());
                case "/digest" -> send(exchange, 200, digest(exchange));
                case "/stream" -> stream(exchange);
                default -> send(exchange, 404, Application.text("nothing here\n"));
            }
        }
    }

    private static byte[] digest(HttpExchange exchange) throws IOException {
        MessageDigest digest = Application.digest();
        byte[] buffer = new byte[65536];
        long length = 0;
        try (InputStream body = exchange.getRequestBody()) {
            for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) {
                digest.update(buffer, 0, n);
                length += n;
            }
        }
        return Application.digested(length, digest, exchange.getRequestHeaders().containsKey("Transfer-Encoding"));
    }

    private static void stream(HttpExchange exchange) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream body = exchange.getResponseBody()) {
            for (int number = 0; number < Application.LINES; number++) {
                body.write(Application.line(number));
                body.flush();
            }
        }
    }

    private static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }
}
