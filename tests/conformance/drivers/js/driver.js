/**
 * Drives one JavaScript SDK: worker and client in one process, commands in, answers out, as JSON
 * lines (`{"id", "op", …}` -> `{"id", "ok"}` or `{"id", "error": {"code", "message"}}`).
 */
"use strict";

const readline = require("node:readline");
const { activities, command } = require("./activities.js");
const { sdk } = require("./modules.js");

for (const name of ["log", "info", "warn", "debug"]) console[name] = console.error;

const { App } = require(`./${process.argv[2]}.js`);
const grpc = sdk("@grpc/grpc-js");
const apps = new Map();

function answer(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function errorOf(error) {
  if (typeof error?.code === "number" && typeof error.details === "string") {
    return { code: grpc.status[error.code], message: error.details };
  }
  return { code: error?.constructor?.name ?? "Error", message: String(error?.message ?? error) };
}

async function perform({ op, app: name, ...rest }) {
  if (["count", "peak", "trace", "release"].includes(op)) return command(op, rest.key);
  if (op === "open") {
    const app = new App(name, rest.host, rest.port, activities);
    apps.set(name, app);
    if (rest.worker) await app.start_worker({ options: rest.worker });
    return null;
  }
  const app = apps.get(name);
  if (op === "close") apps.delete(name);
  return app[op](rest);
}

async function handle(line) {
  const { id, ...rest } = JSON.parse(line);
  try {
    answer({ id, ok: (await perform(rest)) ?? null });
  } catch (error) {
    answer({ id, error: errorOf(error) });
  }
}

// The SDKs leave promises of lost races behind; their rejection must not end the driver.
process.on("unhandledRejection", (error) => console.error("unhandled", error));
process.on("uncaughtException", (error) => console.error("uncaught", error));

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", handle);
lines.on("close", () => process.exit(0));
