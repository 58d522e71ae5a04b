/**
 * The activities that programs call, and the memory that scenarios look at afterwards.
 *
 * Each is `(call, value) => result`; `call` has `instance` (the workflow's id), `task` (its number)
 * and `worker` (the name under which this worker was opened).
 */
"use strict";

const { ScenarioError } = require("./interpreter.js");

/** What activities and programs leave behind, by key; one per driver process. */
const memory = { counts: {}, peaks: {}, running: {}, traces: {}, gates: {} };

function countOne(key) {
  memory.counts[key] = (memory.counts[key] ?? 0) + 1;
  return memory.counts[key];
}

/** Append to the trace under `key`. */
function note(key, value) {
  (memory.traces[key] ??= []).push(value);
}

function gateOf(key) {
  if (!memory.gates[key]) {
    let open;
    const opened = new Promise((resolve) => {
      open = resolve;
    });
    memory.gates[key] = { opened, open };
  }
  return memory.gates[key];
}

/** The answer to a command about the driver's memory. */
function command(op, key) {
  if (op === "count") return memory.counts[key] ?? 0;
  if (op === "peak") return memory.peaks[key] ?? 0;
  if (op === "trace") return memory.traces[key] ?? [];
  gateOf(key).open();
  return null;
}

const activities = {
  echo: (_call, value) => value,
  nothing: () => undefined,
  blob: (_call, size) => "x".repeat(size),
  count: (_call, key) => countOne(key),
  boom: (_call, message) => {
    throw new ScenarioError(message);
  },
  flaky: (_call, value) => {
    const attempt = countOne(value.key);
    if (attempt <= value.failures) throw new ScenarioError(`attempt ${attempt}`);
    return attempt;
  },
  gate: async (call, key) => {
    countOne(key);
    memory.running[key] = (memory.running[key] ?? 0) + 1;
    memory.peaks[key] = Math.max(memory.peaks[key] ?? 0, memory.running[key]);
    await gateOf(key).opened;
    memory.running[key] -= 1;
    return call.worker;
  },
  who: (call) => call.worker,
  about: (call) => ({ instance: call.instance, task: call.task }),
};

module.exports = { activities, command, note };
