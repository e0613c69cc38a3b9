// Worker threads, promises of the file system, timers, shared memory, signals.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const fs = require('fs/promises');
const path = require('path');

function compute() {
  const { number, shared } = workerData;
  let sum = 0;
  for (let i = 0; i < 1e6; i++) sum = (sum + i * number) % 1000003;
  for (let i = 0; i < 1000; i++) Atomics.add(new Int32Array(shared), 0, 1);
  parentPort.on('message', (message) => {
    parentPort.postMessage({ sum, got: message.length });
    parentPort.close();
  });
}

function worker(number, shared) {
  return new Promise((resolve, reject) => {
    const one = new Worker(__filename, { workerData: { number, shared } });
    one.on('message', resolve);
    one.on('error', reject);
    one.postMessage(Buffer.alloc(100000));
  });
}

async function files() {
  const folder = await fs.mkdtemp('/tmp/workers-');
  await Promise.all([...Array(50).keys()].map((i) => fs.writeFile(path.join(folder, `f${i}`), 'x'.repeat(i))));
  const names = await fs.readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await fs.stat(path.join(folder, name))).size));
  console.log(names.length, sizes.reduce((a, b) => a + b));
  await fs.rm(folder, { recursive: true });
}

async function timers() {
  const order = [];
  process.nextTick(() => order.push('tick'));
  Promise.resolve().then(() => order.push('microtask'));
  await new Promise((resolve) => setTimeout(() => { order.push('timer'); resolve(); }, 10));
  console.log(order.join());
  const start = process.hrtime.bigint();
  await require('timers/promises').setTimeout(15);
  console.log(process.hrtime.bigint() - start >= 14000000n);
}

async function main() {
  const shared = new SharedArrayBuffer(4);
  console.log(JSON.stringify(await Promise.all([1, 2, 3, 4].map((number) => worker(number, shared)))));
  console.log(new Int32Array(shared)[0]);
  await files();
  await timers();
  // Busy without an end: it is interrupted.
  const busy = new Worker('while (true);', { eval: true });
  await new Promise((resolve) => busy.on('online', resolve));
  console.log('terminated', await busy.terminate());
  process.on('SIGUSR2', () => { console.log('signal'); process.exit(7); });
  setInterval(() => {}, 1000);
  process.kill(process.pid, 'SIGUSR2');
}

if (isMainThread) main();
else compute();
