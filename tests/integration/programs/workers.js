// Threads of Node.js that compute, share memory and wait for each other.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const THREADS = 4, ROUNDS = 2000;
if (isMainThread) {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  let left = THREADS, total = 0;
  for (let number = 0; number < THREADS; number++) {
    const worker = new Worker(__filename, { workerData: { number, shared } });
    worker.on('message', (value) => { total += value; });
    worker.on('exit', (code) => {
      if (code !== 0) console.log('exit', code);
      if (--left === 0) console.log(total, shared[0]);
    });
  }
} else {
  const { number, shared } = workerData;
  let x = number;
  for (let i = 0; i < 200000; i++) x = (x * 1103515245 + 12345) & 0x7fffffff;
  for (let i = 0; i < ROUNDS; i++) Atomics.add(shared, 0, 1);
  parentPort.postMessage(x % 1000);
}
