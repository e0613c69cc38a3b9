import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import java.security.MessageDigest;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Netty over NIO: event loops for the connections, a pool for what waits. */
public class NettyServer extends SimpleChannelInboundHandler<HttpObject> {
    private static final ExecutorService WAITING = Executors.newCachedThreadPool();

    private HttpRequest request;
    private MessageDigest digest;
    private long length;

    public static void main(String[] args) throws Exception {
        NioEventLoopGroup group = new NioEventLoopGroup(4);
        ChannelInitializer<SocketChannel> pipeline = new ChannelInitializer<>() {
            @Override
            protected void initChannel(SocketChannel channel) {
                channel.pipeline().addLast(new HttpServerCodec(), new NettyServer());
            }
        };
        new ServerBootstrap()
                .group(group)
                .channel(NioServerSocketChannel.class)
                .childHandler(pipeline)
                .bind(Integer.parseInt(args[0]))
                .sync()
                .channel()
                .closeFuture()
                .sync();
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, HttpObject part) {
        if (part instanceof HttpRequest head) {
            request = head;
            digest = Application.digest();
            length = 0;
        }
        if (part instanceof HttpContent content) {
            ByteBuf bytes = content.content();
            length += bytes.readableBytes();
            digest.update(bytes.nioBuffer());
        }
        if (part instanceof LastHttpContent) {
            answer(context);
        }
    }

    private void answer(ChannelHandlerContext context) {
        boolean keep = HttpUtil.isKeepAlive(request);
        switch (request.uri()) {
            case "/" -> send(context, keep, 200, Application.text("It works\n"));
            case "/error" -> send(context, keep, 418, Application.text("teapot\n"));
            case "/together" -> WAITING.execute(() -> send(context, keep, 200, Application.meet()));
            case "/digest" -> send(
                    context,
                    keep,
                    200,
                    Application.digested(length, digest, HttpUtil.isTransferEncodingChunked(request)));
            case "/stream" -> stream(context);
            default -> send(context, keep, 404, Application.text("nothing here\n"));
        }
    }

    private static void stream(ChannelHandlerContext context) {
        HttpResponse head = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
        HttpUtil.setTransferEncodingChunked(head, true);
        context.write(head);
        for (int number = 0; number < Application.LINES; number++) {
            context.writeAndFlush(new DefaultHttpContent(Unpooled.wrappedBuffer(Application.line(number))));
        }
        context.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT);
    }

    private static void send(ChannelHandlerContext context, boolean keep, int status, byte[] body) {
        FullHttpResponse response = new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status), Unpooled.wrappedBuffer(body));
        HttpUtil.setContentLength(response, body.length);
        HttpUtil.setKeepAlive(response, keep);
        var done = context.writeAndFlush(response);
        if (!keep) {
            done.addListener(ChannelFutureListener.CLOSE);
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close();
    }
}
