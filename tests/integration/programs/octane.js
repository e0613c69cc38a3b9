// Runs benchmarks of Octane a given number of times each, without looking at the clock: each checks what it computed.
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');

const [folder, times, ...names] = process.argv.slice(2);
const load = (name) => {
  const file = path.join(folder, `${name}.js`);
  vm.runInThisContext(fs.readFileSync(file, 'utf8'), file);
};
global.print = console.log;
global.read = (file) => fs.readFileSync(file, 'utf8');

load('base');
names.forEach(load);
BenchmarkSuite.ResetRNG();
for (const suite of BenchmarkSuite.suites) {
  for (const benchmark of suite.benchmarks) {
    benchmark.Setup();
    for (let i = 0; i < Number(times); i++) benchmark.run();
    benchmark.TearDown();
    console.log(suite.name, benchmark.name);
  }
}
