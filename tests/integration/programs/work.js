'use strict';
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
console.log(process.argv.slice(2), fib(27), 2n ** 100n, [3, 1, 2].sort());
let hash = crypto.createHash('sha256');
for (let i = 0; i < 1000; i++) hash.update(`block ${i}`);
console.log(hash.digest('hex'));
const matrix = new Float64Array(250000).map((_, i) => Math.sin(i));
console.log(matrix.reduce((a, b) => a + b, 0).toFixed(9));
console.log(zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(100000, 'abc'))).length);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'compat-'));
fs.writeFileSync(path.join(folder, 'a'), 'x'.repeat(5000));
console.log(fs.statSync(path.join(folder, 'a')).size, fs.readdirSync(folder));

const order = [];
setTimeout(() => order.push('timeout 30'), 30);
setTimeout(() => order.push('timeout 10'), 10);
setImmediate(() => order.push('immediate'));
process.nextTick(() => order.push('tick'));
Promise.resolve().then(() => order.push('promise'));
let ticks = 0;
const interval = setInterval(() => { if (++ticks === 5) clearInterval(interval); }, 5);
fs.promises.readFile(path.join(folder, 'a')).then((content) => order.push(`read ${content.length}`));
crypto.pbkdf2('secret', 'salt', 10000, 32, 'sha256', (error, key) => order.push(key.toString('hex')));
setTimeout(() => {
  fs.rmSync(folder, { recursive: true });
  console.log(order.slice(0, 2), order.sort(), ticks);
  console.error('to stderr');
  process.exitCode = 0;
}, 600);
