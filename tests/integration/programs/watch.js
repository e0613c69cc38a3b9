const fs = require("fs"), path = require("path");
const dir = fs.mkdtempSync("/tmp/watch-");
const seen = new Set();
const watcher = fs.watch(dir, (event, name) => {
  seen.add(event + " " + name);
  if (name === "last") { watcher.close(); console.log([...seen].sort().join("\n")); fs.rmSync(dir, { recursive: true }); }
});
fs.writeFileSync(path.join(dir, "one"), "1");
fs.renameSync(path.join(dir, "one"), path.join(dir, "two"));
fs.unlinkSync(path.join(dir, "two"));
fs.writeFileSync(path.join(dir, "last"), "");
