import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

/** Tomcat with one servlet. */
public class TomcatServer extends HttpServlet {
    public static void main(String[] args) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(args[1]);
        tomcat.setPort(Integer.parseInt(args[0]));
        tomcat.getConnector();
        Context context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "application", new TomcatServer());
        context.addServletMappingDecoded("/", "application");
        tomcat.start();
        tomcat.getServer().await();
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        switch (request.getRequestURI()) {
            case "/" -> send(response, 200, Application.text("It works\n"));
            case "/error" -> send(response, 418, Application.text("teapot\n"));
            case "/together" -> send(response, 200, Application.meet());
            case "/digest" -> send(response, 200, digest(request));
            case "/stream" -> stream(response);
            default -> send(response, 404, Application.text("nothing here\n"));
        }
    }

    private static byte[] digest(HttpServletRequest request) throws IOException {
        MessageDigest digest = Application.digest();
        byte[] buffer = new byte[65536];
        long length = 0;
        InputStream body = request.getInputStream();
        for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) {
            digest.update(buffer, 0, n);
            length += n;
        }
        return Application.digested(length, digest, request.getContentLengthLong() < 0);
    }

    private static void stream(HttpServletResponse response) throws IOException {
        for (int number = 0; number < Application.LINES; number++) {
            response.getOutputStream().write(Application.line(number));
            response.flushBuffer();
        }
    }

    private static void send(HttpServletResponse response, int status, byte[] body) throws IOException {
        response.setStatus(status);
        response.setContentLength(body.length);
        response.getOutputStream().write(body);
    }
}
