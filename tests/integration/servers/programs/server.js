// HTTP and websockets in one server of Node.js: node server.js PORT
const crypto = require("crypto");
const http = require("http");
const { WebSocketServer } = require("ws");

const server = http.createServer((request, response) => {
  if (request.url === "/stream") {
    response.writeHead(200, { "Content-Type": "text/plain" });
    let number = 0;
    const timer = setInterval(() => {
      response.write(`line ${number}\n`);
      if (++number === 20) {
        clearInterval(timer);
        response.end();
      }
    }, 2);
    return;
  }
  const hash = crypto.createHash("sha256");
  let length = 0;
  request.on("data", (part) => {
    hash.update(part);
    length += part.length;
  });
  request.on("end", () => {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ method: request.method, url: request.url, length, sha256: hash.digest("hex") }));
  });
});

const sockets = new WebSocketServer({ server, perMessageDeflate: true });
sockets.on("connection", (socket) => {
  socket.on("message", (data, binary) => {
    if (binary) {
      socket.send(data);
    } else if (data.toString() === "everybody") {
      sockets.clients.forEach((client) => client.send("to all"));
    } else {
      socket.send([...data.toString()].reverse().join(""));
    }
  });
});

server.listen(Number(process.argv[2]), "0.0.0.0", () => console.log("listening"));
